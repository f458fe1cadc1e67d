//! The program dies once at each of its places: before and after each statement, each commit, each call of a runner and each write of a
//! file of an attempt. Whatever it was about to do, nothing is lost, no program runs twice, and rows and jobs agree.

mod places;
mod story;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use story::Story;

/// Stories at the same time: each is some processes that mostly wait.
const AT_ONCE: usize = 12;

#[tokio::test]
async fn a_death_at_any_place_loses_nothing_and_repeats_nothing() {
    let visited = Story::noted().await;
    let missing: Vec<String> = places::wanted().difference(&visited).cloned().collect();
    assert!(missing.is_empty(), "the story comes to none of these: {missing:#?}");
    // Some of the others come by chance.
    let always = visited.iter().filter(|place| !places::is_exempt(place.split_once(' ').unwrap().1));
    let stories =
        always.map(|place| async move { (place, tokio::spawn(Story::dying_at(place.clone())).await) });
    let told: Vec<_> = stream::iter(stories).buffer_unordered(AT_ONCE).collect().await;
    let failed: BTreeSet<&String> =
        told.iter().filter(|(_, told)| told.is_err()).map(|(place, _)| *place).collect();
    println!("{} places", told.len());
    assert!(failed.is_empty(), "of {} places: {failed:#?}", told.len());
}
