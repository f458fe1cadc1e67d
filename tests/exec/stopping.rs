//! What a signal to stop makes of a program, and of its report.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use super::{Attempt, text};

/// As `docker stop` does, or ECS when it takes a Spot machine back.
fn terminate(child: &Child) {
    kill(Pid::from_raw(child.id().unwrap() as i32), Signal::SIGTERM).unwrap();
}

#[tokio::test]
async fn a_forwarded_stop_is_reported_as_such_even_if_the_end_is_good() {
    for (script, code, report) in [
        (
            "trap 'echo bye; exit 9' TERM",
            9,
            "failed retry true stopped by signal SIGTERM, then exit code 9: bye",
        ),
        ("trap 'exit 0' TERM", 0, "failed retry true stopped by signal SIGTERM, then exit code 0"),
        ("", 143, "failed retry true stopped by signal SIGTERM"),
        // A result proves that the work was done all the same.
        (r#"trap 'echo "{}"; exit 0' TERM"#, 0, "succeeded"),
    ] {
        let attempt = Attempt::new(("", "")).await;
        let up = attempt.fifo("up");
        let child = attempt
            .spawn(&["--no-retry", "9"], &format!("{script}\necho > {}; sleep 20 & wait; exit 1", up.path()));
        up.read().await;
        terminate(&child);
        let done = child.wait_with_output().await.unwrap();
        assert_eq!((done.status.code(), attempt.report().await.as_str()), (Some(code), report), "{script}");
    }
}

#[tokio::test]
async fn a_program_ignoring_a_signal_is_killed_in_time_for_its_report() {
    let attempt = Attempt::new(("", "")).await;
    let (up, held) = (attempt.fifo("up"), attempt.fifo("held"));
    let gone = held.closed();
    let script =
        format!("trap '' TERM; exec 9> {}; echo > {}; sleep 1000; sleep 1000", held.path(), up.path());
    let child = attempt.spawn(&["--stop-grace", "200ms"], &script);
    up.read().await;
    terminate(&child);
    let done = child.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(137), "{}", text(&done.stderr));
    assert_eq!(attempt.report().await, "failed retry true stopped by signal SIGTERM, killed after 200ms");
    // With the program, what it had started and what was as deaf.
    gone.await;
}

#[tokio::test]
async fn a_signal_that_nobody_sent_us_is_the_programs_own_end() {
    let attempt = Attempt::new(("", "")).await;
    let done = attempt.run("kill -SEGV $$").await;
    assert_eq!(
        (done.status.code(), attempt.report().await.as_str()),
        (Some(139), "failed retry true ended by signal SIGSEGV")
    );
}
