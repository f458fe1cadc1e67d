//! The suite. Each case is a promise to whoever writes a task.

use super::{Case, Subject, asked, end, heard, observed};
use rowcall::job::{End, How};
use rowcall::parameters::{LaunchSpec, Task};
use rowcall::runners::{Found, Observation, Stray};

const ONCE: (&str, &str) = ("", "");

/// One test per case for a runner.
macro_rules! conformance {
    // What holds for every runner.
    (everywhere: $subject:ty $(, #[$attribute:meta])?) => {
        $crate::conformance::cases::conformance!($subject: $(#[$attribute])?
            exit_code_0_is_success
            another_exit_code_fails_with_the_last_line_printed
            lines_of_output_and_errors_keep_their_order
            a_program_killed_by_a_signal_has_failed
            what_may_not_run_blocks_the_job_and_names_the_rule
            a_frozen_request_is_held_against_the_rails
            long_output_is_bounded_and_keeps_its_end
            output_that_is_no_text_is_kept_as_text
            the_environment_is_contract_and_parameters_never_the_daemons
            arguments_arrive_as_they_are
            a_timeout_asks_the_program_to_end
            a_program_that_ignores_its_stop_is_killed_with_its_children
            a_cancelled_job_stops_its_program
            what_a_program_leaves_running_ends_with_it
            launching_twice_starts_one_program
            the_next_dispatcher_sees_the_end
            an_unconfirmed_launch_is_found
            a_stray_is_discarded
        );
    };
    ($subject:ty: $(#[$attribute:meta])? $($case:ident)*) => {
        $crate::conformance::cases::conformance!(@each $subject, ($(#[$attribute])?), $($case)*);
    };
    (@each $subject:ty, $attributes:tt, $($case:ident)*) => {
        $( $crate::conformance::cases::conformance!(@one $subject, $attributes, $case); )*
    };
    (@one $subject:ty, ($(#[$attribute:meta])?), $case:ident) => {
        #[tokio::test]
        $(#[$attribute])?
        async fn $case() {
            super::cases::$case($crate::conformance::Case::<$subject>::new().await).await;
        }
    };
}
pub(crate) use conformance;

/// The script, ending so that its output is kept: well, unless only the output of failures is.
fn kept<S: Subject>(script: &str) -> String {
    if S::KEEPS_ALL_OUTPUT { script.to_owned() } else { format!("{script}; exit 1") }
}

pub async fn exit_code_0_is_success<S: Subject>(case: Case<S>) {
    let told = case.run("echo done", &[], ONCE).await;
    assert_eq!(
        (told.outcome.as_str(), told.exit_code, told.output.as_str()),
        ("SUCCEEDED", Some(0), if S::KEEPS_ALL_OUTPUT { "done\n" } else { "" })
    );
    assert_eq!(case.db.one::<String>("select status from rowcall.files").await, "PROCESSED");
}

pub async fn another_exit_code_fails_with_the_last_line_printed<S: Subject>(case: Case<S>) {
    let told = case.run("echo first; echo; echo 'no such bucket '; echo; exit 3", &[], ONCE).await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(3)));
    assert_eq!(told.reason, "exit code 3: no such bucket");
    assert_eq!(told.output, S::kept("first\n\nno such bucket \n\n"));
    let row =
        "select concat_ws(' ', status, attributes->>'outcome', attributes->>'message') from rowcall.files";
    assert_eq!(case.db.one::<String>(row).await, "ERROR TASK_FAILED exit code 3: no such bucket");
}

pub async fn lines_of_output_and_errors_keep_their_order<S: Subject>(case: Case<S>) {
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done; exit 1";
    let told = case.run(script, &[], ONCE).await;
    let expected = (1..=9).fold(String::new(), |text, i| text + &format!("out {i}\nerr {i}\n"));
    if S::ONE_STREAM {
        assert_eq!(told.output, expected);
        assert_eq!(told.reason, "exit code 1: err 9");
        return;
    }
    for stream in ["out", "err"] {
        let of =
            |text: &str| text.lines().filter(|line| line.starts_with(stream)).collect::<Vec<_>>().join(" ");
        assert_eq!(of(&told.output), of(&expected));
    }
}

pub async fn a_program_killed_by_a_signal_has_failed<S: Subject>(case: Case<S>) {
    let told = case.run("echo working; kill -KILL $$", &[], ONCE).await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(137)));
    assert!(told.reason.contains("SIGKILL") && told.reason.contains("working"), "{}", told.reason);
}

pub async fn what_may_not_run_blocks_the_job_and_names_the_rule<S: Subject>(case: Case<S>) {
    let dispatcher = case.dispatcher().await;
    let (allowed, command) = case.subject.script("exit 0", &[]);
    case.parameters(&allowed, &command, ONCE).await;
    for (target, rule) in case.subject.forbidden() {
        let change = "update rowcall.parameters set target = $1";
        case.db.client.execute(change, &[&target]).await.unwrap();
        case.db.run("delete from rowcall.jobs; insert into rowcall.files default values").await;
        case.db
            .until(&format!("select state = 'blocked' and reason like '%{rule}%' from rowcall.jobs"))
            .await;
        let untouched = "select status from rowcall.files order by id desc limit 1";
        assert_eq!(case.db.one::<String>(untouched).await, "REGISTERED");
    }
    // No attempt was spent, and the job goes on by itself once it may.
    assert_eq!(case.db.one::<i64>("select count(*) from rowcall.attempts").await, 0);
    case.db.client.execute("update rowcall.parameters set target = $1", &[&allowed]).await.unwrap();
    case.db.until("exists (select from rowcall.files where status = 'PROCESSED')").await;
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

pub async fn a_frozen_request_is_held_against_the_rails<S: Subject>(case: Case<S>) {
    let (runner, _ends) = case.subject.runner();
    runner.ready().await.unwrap();
    let mut request = (*case.attempt("exit 0").request).clone();
    runner.freeze(&mut request);
    assert_eq!(runner.may_launch(&request), Ok(()));
    for (target, rule) in case.subject.forbidden() {
        let refused = runner.may_launch(&LaunchSpec { target, ..request.clone() }).unwrap_err();
        assert!(refused.contains(rule), "{refused}");
    }
}

pub async fn long_output_is_bounded_and_keeps_its_end<S: Subject>(case: Case<S>) {
    let script =
        "i=0; while [ $i -lt 5000 ]; do echo \"line $i of very many lines\"; i=$((i+1)); done; echo THE END";
    let told = case.run(&kept::<S>(script), &[], ONCE).await;
    assert!(told.output.ends_with("line 4999 of very many lines\nTHE END\n"), "{}", told.output);
    assert!((9_900..10_100).contains(&told.output.len()), "{} bytes", told.output.len());
    assert!(told.output.lines().next().unwrap().contains("dropped"));
}

pub async fn output_that_is_no_text_is_kept_as_text<S: Subject>(case: Case<S>) {
    let told = case.run(r"printf 'a\377b\000c\n'; exit 1", &[], ONCE).await;
    assert_eq!(told.output, "a\u{fffd}b\u{fffd}c\n");
    assert_eq!(told.reason, "exit code 1: a\u{fffd}b\u{fffd}c");
}

pub async fn the_environment_is_contract_and_parameters_never_the_daemons<S: Subject>(case: Case<S>) {
    let more = (", environment", r#", '{"GREETING": "row {{ row.id }}", "LINES_": "a\nb", "EMPTY": ""}'"#);
    let told = case.run(&kept::<S>("env -0"), &[], more).await;
    let variables: std::collections::BTreeMap<&str, &str> =
        told.output.split('\u{fffd}').filter_map(|v| v.split_once('=')).collect();
    let job: i64 = case.db.one("select job_id from rowcall.history").await;
    assert_eq!(variables["ROWCALL_JOB"], job.to_string());
    assert_eq!(variables["ROWCALL_ATTEMPT"], "1");
    assert!(variables.contains_key("ROWCALL_TOKEN"));
    assert_eq!(variables.contains_key("ROWCALL_DATABASE_URL"), S::HANDS_OUT_PASSWORDS);
    assert_eq!((variables["GREETING"], variables["LINES_"], variables["EMPTY"]), ("row 1", "a\nb", ""));
    // This test is the daemon; cargo has given it plenty.
    let of_any_shell = ["PATH", "LANG", "LC_ALL", "TZ", "HOME", "PWD", "OLDPWD", "SHLVL", "_", "HOSTNAME"];
    let of_the_daemon =
        std::env::vars().map(|(name, _)| name).filter(|name| !of_any_shell.contains(&name.as_str()));
    let (leaked, kept): (Vec<_>, Vec<_>) =
        of_the_daemon.partition(|name| variables.contains_key(name.as_str()));
    assert!(!kept.is_empty(), "the daemon of this test has nothing to leak");
    assert!(leaked.is_empty(), "{leaked:?}");
}

pub async fn arguments_arrive_as_they_are<S: Subject>(case: Case<S>) {
    let arguments = [
        "",
        " ",
        "a b",
        "'\"\\",
        "$HOME `id` $(id); * ?",
        "two\nlines",
        "line\n",
        "-n",
        "--",
        "ünï",
        "{}",
        "%s",
    ];
    let told = case.run(&kept::<S>(r#"printf '<%s>' "$@""#), &arguments, ONCE).await;
    let expected = arguments.map(|a| format!("<{a}>")).concat();
    assert_eq!(told.output, S::kept(&expected));
}

pub async fn a_timeout_asks_the_program_to_end<S: Subject>(case: Case<S>) {
    let script = "trap 'echo tidied up; exit 0' TERM; sleep 1000 & wait";
    let told = case.run(script, &[], (", timeout", ", '1 second'")).await;
    assert_eq!((told.outcome.as_str(), told.output.as_str()), ("TIMED_OUT", "tidied up\n"));
    assert!(told.reason.contains("timeout of 00:00:01"), "{}", told.reason);
    assert_eq!(case.db.one::<String>("select status from rowcall.files").await, "ERROR");
}

pub async fn a_program_that_ignores_its_stop_is_killed_with_its_children<S: Subject>(case: Case<S>) {
    let held = case.fifo("held");
    let gone = held.closed();
    let script = format!("trap '' TERM; exec > {}; sleep 1000 & while :; do sleep 1000; done", held.path());
    let told = case.run(&script, &[], (", timeout", ", '700 milliseconds'")).await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TIMED_OUT", Some(137)));
    gone.await;
}

pub async fn a_cancelled_job_stops_its_program<S: Subject>(case: Case<S>) {
    let (up, held) = (case.fifo("up"), case.fifo("held"));
    let dispatcher = case.dispatcher().await;
    let gone = held.closed();
    case.insert(&format!("exec > {}; echo up > {}; sleep 1000", held.path(), up.path()), &[], ONCE).await;
    up.read().await;
    let cancelled: bool = case
        .db
        .one("select rowcall.cancel(id, 'changed my mind') from rowcall.jobs where state = 'running'")
        .await;
    assert!(cancelled);
    let told = case.ended().await;
    assert_eq!((told.outcome.as_str(), told.reason.as_str()), ("CANCELLED", "changed my mind"));
    gone.await;
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

pub async fn what_a_program_leaves_running_ends_with_it<S: Subject>(case: Case<S>) {
    let held = case.fifo("held");
    let gone = held.closed();
    let told = case.run(&format!("exec 3> {}; sleep 1000 & exit 0", held.path()), &[], ONCE).await;
    assert_eq!(told.outcome, "SUCCEEDED");
    gone.await;
}

pub async fn launching_twice_starts_one_program<S: Subject>(case: Case<S>) {
    let (runner, mut ends) = case.subject.runner();
    let gate = case.fifo("gate");
    let count = case.subject.place().join("count");
    let mut attempt =
        case.attempt(&format!("echo started >> {}; read x < {}; exit 4", count.display(), gate.path()));
    let contract = [("ROWCALL_TOKEN".to_owned(), "token".to_owned())];
    let (first, second) =
        tokio::join!(runner.launch(&attempt, &contract), runner.launch(&attempt, &contract));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    // As a dispatcher would note it.
    attempt.external_id = Some(first.unwrap().external_id);
    assert!(matches!(observed(&runner, &attempt).await, Observation::Running | Observation::Starting(_)));
    gate.open().await;
    let seen = end::<S>(&runner, &mut ends, &attempt).await;
    assert_eq!((&seen.how, seen.exit_code), (&How::Exited, Some(4)));
    // Once more, after its end: it has run. The next dispatcher knows no better than to try.
    let (next, mut ends) = case.subject.runner();
    for runner in [&runner, &next] {
        runner.launch(&attempt, &contract).await.unwrap();
    }
    // At another time the same end is longer ago.
    let undated = |end: End| End { ago: None, ..end };
    let seen = undated(seen);
    assert_eq!(undated(asked(&next, &mut ends, &attempt).await), seen);
    if S::KEEPS_ENDS {
        let Observation::Ended(once_more) = observed(&runner, &attempt).await else { panic!("it has ended") };
        assert_eq!(undated(once_more), seen);
    }
    assert_eq!(std::fs::read_to_string(count).unwrap(), "started\n");
}

pub async fn the_next_dispatcher_sees_the_end<S: Subject>(case: Case<S>) {
    let (up, gate) = (case.fifo("up"), case.fifo("gate"));
    let dispatcher = case.dispatcher().await;
    case.insert(&format!("echo up > {}; read x < {}; exit 5", up.path(), gate.path()), &[], ONCE).await;
    up.read().await;
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
    let next = case.dispatcher().await;
    case.db.until(&format!("select dispatcher_id = {} from rowcall.attempts", next.id())).await;
    gate.open().await;
    let told = case.ended().await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(5)));
    assert_eq!(case.db.one::<i64>("select count(*) from rowcall.attempts").await, 1);
    next.drain();
    next.finish().await.unwrap();
}

pub async fn an_unconfirmed_launch_is_found<S: Subject>(case: Case<S>) {
    let (runner, _ends) = case.subject.runner();
    let (up, gate) = (case.fifo("up"), case.fifo("gate"));
    let mut attempt = case.attempt(&format!("echo up > {}; read x < {}; exit 6", up.path(), gate.path()));
    let never = case.attempt("exit 0");
    runner.launch(&attempt, &[]).await.unwrap();
    // What has not begun yet may be kept from beginning, and is then not there to be found.
    up.read().await;
    // The next dispatcher, which knows the launch key and nothing else.
    let (next, mut ends) = case.subject.runner();
    attempt.in_doubt = true;
    let found = next.find(&attempt).await.unwrap();
    let Found::Running(external_id) = found else { panic!("it runs, and was not found") };
    attempt.external_id = Some(external_id);
    assert!(matches!(observed(&next, &attempt).await, Observation::Running | Observation::Starting(_)));
    gate.open().await;
    assert_eq!(asked(&next, &mut ends, &attempt).await.exit_code, Some(6));
    assert_eq!(next.find(&never).await.unwrap(), Found::Nothing);
}

pub async fn a_stray_is_discarded<S: Subject>(case: Case<S>) {
    let (runner, mut ends) = case.subject.runner();
    let (up, held) = (case.fifo("up"), case.fifo("held"));
    let script = if S::STRAYS_RUN {
        format!("exec > {}; echo up > {}; sleep 1000", held.path(), up.path())
    } else {
        "exit 0".to_owned()
    };
    let attempt = case.attempt(&script);
    case.parameters(&attempt.request.target, &attempt.request.command, ONCE).await;
    let tasks = case.tasks().await;
    let tasks: Vec<&Task> = tasks.iter().collect();
    let gone = S::STRAYS_RUN.then(|| held.closed());
    runner.launch(&attempt, &[]).await.unwrap();
    if S::STRAYS_RUN {
        up.read().await;
    } else {
        heard(&mut ends).await;
    }
    case.subject.age(&attempt);
    // A dispatcher that never heard of the attempt, and finds it over in the database.
    let (next, _ends) = case.subject.runner();
    let is_ours = |stray: &Stray| stray.launch_key == attempt.launch_key;
    let strays = next.strays("rowcall-test-", &tasks).await;
    let stray = strays.into_iter().find(is_ours).expect("it is not among the strays");
    next.discard(&stray).await;
    if let Some(gone) = gone {
        gone.await;
    }
    assert!(!next.strays("rowcall-test-", &tasks).await.iter().any(is_ours));
}

pub async fn nothing_is_kept_of_a_forgotten_attempt<S: Subject>(case: Case<S>) {
    let (runner, mut ends) = case.subject.runner();
    let attempt = case.attempt("exit 0");
    runner.launch(&attempt, &[]).await.unwrap();
    heard(&mut ends).await;
    assert!(case.subject.remembers(&attempt));
    runner.forget(&attempt).await;
    assert!(!case.subject.remembers(&attempt));
    runner.forget(&attempt).await;
}
