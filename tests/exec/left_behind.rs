//! Processes that their parents left behind.

use super::{Attempt, text};

#[tokio::test]
async fn orphans_are_reaped_while_the_program_runs() {
    let attempt = Attempt::new(("", "")).await;
    let (pid, gate) = (attempt.fifo("pid"), attempt.fifo("gate"));
    // The orphan lives until its parent is gone for certain.
    let orphan = format!(
        "while [ \"$(cut -d ' ' -f 4 /proc/$$/stat)\" = $PARENT ]; do :; done; echo $$ > {}",
        pid.path()
    );
    let script = format!(
        "(PARENT=$(sh -c 'echo $PPID') sh -c '{}' &); read x < {}",
        orphan.replace('\'', r"'\''"),
        gate.path()
    );
    let child = attempt.spawn(&[], &script);
    let orphan = format!("/proc/{}", pid.read().await.trim());
    // A process that nobody reaps stays there as a zombie.
    while std::fs::exists(&orphan).unwrap() {
        tokio::task::yield_now().await;
    }
    gate.open().await;
    assert!(child.wait_with_output().await.unwrap().status.success());
}

#[tokio::test]
async fn what_the_program_left_behind_is_told_to_end_and_may_say_so() {
    let attempt = Attempt::new(("", "")).await;
    let (up, gate, held) = (attempt.fifo("up"), attempt.fifo("gate"), attempt.fifo("held"));
    let gone = held.closed();
    let script = format!(
        "(trap 'echo told; exit' TERM; exec 9> {}; setsid sleep 1000 & echo > {}; wait) & read x < {}",
        held.path(),
        up.path(),
        gate.path()
    );
    let child = attempt.spawn(&[], &script);
    up.read().await;
    gate.open().await;
    let done = child.wait_with_output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "told\n"));
    gone.await;
    assert_eq!(attempt.report().await, "succeeded");
}
