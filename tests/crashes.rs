//! The program dies once at each of its places: before and after each statement, each commit, each call of a runner and each write of a
//! file of an attempt. Whatever it was about to do, nothing is lost, no program runs twice, and rows and jobs agree.

mod migrating;
mod places;
mod story;

use futures_util::{StreamExt as _, stream};
use story::Story;

/// Stories at the same time: each is some processes that mostly wait.
const AT_ONCE: usize = 8;

/// So often a story is told until it comes to its place.
const TRIES: usize = 5;

#[tokio::test]
#[ignore = "needs the machine for itself: ./dev test"]
async fn a_death_at_any_place_loses_nothing_and_repeats_nothing() {
    let visited = Story::noted().await;
    let missing: Vec<String> = places::wanted().difference(&visited).cloned().collect();
    assert!(missing.is_empty(), "the story comes to none of these: {missing:#?}");
    // For a look at some of them.
    let only = std::env::var("ROWCALL_TEST_PLACES").unwrap_or_default();
    let visited: Vec<String> = visited.into_iter().filter(|place| place.contains(&only)).collect();
    let always = visited.iter().filter(|place| !places::is_exempt(place.split_once(' ').unwrap().1));
    let stories = always.map(|place| async move {
        for _ in 0..TRIES {
            match tokio::spawn(Story::dies_at(place.clone())).await {
                Ok(true) => return None,
                Ok(false) => {}
                Err(_) => return Some(format!("{place}: what it says is above")),
            }
        }
        Some(format!("{place}: nothing died there"))
    });
    let told: Vec<Option<String>> = stream::iter(stories).buffer_unordered(AT_ONCE).collect().await;
    let failed: Vec<&String> = told.iter().flatten().collect();
    assert!(failed.is_empty(), "of {} places: {failed:#?}", told.len());
}
