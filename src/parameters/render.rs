//! From a parameters row and a source row to the request that is frozen into the attempt.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Task;
use super::frozen::{Frozen, LaunchSpec, VERSION, WriteBack};
use super::template::{Context, Template};
use crate::job::{JobId, RunnerName};

/// What templates see of the job, as `job`.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct JobContext<'a> {
    pub id: JobId,
    pub attempt: i32,
    pub row_key: &'a Value,
    pub on_status: &'a str,
}

/// A key that is longer than this is no name of anything, and an index takes no key of any length.
const LONGEST_KEY: usize = 500;

/// Renders the concurrency key, where the task has one. The row is jsonb text, as Postgres spells it.
pub fn render_key(task: &Task, job: JobContext<'_>, row: &str) -> Result<Option<String>, String> {
    let Some(template) = &task.concurrency_key else { return Ok(None) };
    let key = renderer(task, job, row)("concurrency_key".to_owned(), template)?;
    if key.len() > LONGEST_KEY {
        return Err(format!(
            "parameters.concurrency_key: the key has {} bytes; {LONGEST_KEY} are allowed",
            key.len()
        ));
    }
    Ok(Some(key))
}

/// Renders command and environment, and what the lambda runner merges into the event. The error names the column,
/// the place and the reason; it becomes the reason of a blocked job.
pub fn render(task: &Task, job: JobContext<'_>, row: &str) -> Result<Frozen, String> {
    let render = renderer(task, job, row);
    let mut command = Vec::with_capacity(task.command.len());
    for (i, template) in task.command.iter().enumerate() {
        command.push(render(format!("command[{}]", i + 1), template)?);
    }
    let mut environment = BTreeMap::new();
    for (name, template) in task.environment.as_object().into_iter().flatten() {
        let template = template.as_str().unwrap_or_default();
        environment.insert(name.clone(), render(format!("environment.{name}"), template)?);
    }
    let mut launch = launch_spec(task, command, environment);
    if task.runner == RunnerName::Lambda
        && let Some(payload) = launch.settings.get_mut("payload")
    {
        render_strings(payload, "settings.payload".to_owned(), &render)?;
    }
    Ok(Frozen {
        version: VERSION,
        launch,
        policy: task.policy.clone(),
        write_back: write_back(task, job.on_status),
    })
}

/// Renders one template after the other: place and text.
fn renderer(task: &Task, job: JobContext<'_>, row: &str) -> impl Fn(String, &str) -> Result<String, String> {
    let job = json!({
        "id": job.id,
        "task": task.name,
        "attempt": job.attempt,
        "row_key": job.row_key,
        "on_status": job.on_status,
    });
    let context = Context::new(row, &job, &task.values);
    move |place, template| {
        Template::parse(template)
            .and_then(|template| template.render(&context))
            .map_err(|error| format!("parameters.{place}: {error}"))
    }
}

/// What would be asked of the runner, with the templates as they stand: for checks that have no row in hand.
#[must_use]
pub fn unrendered(task: &Task) -> LaunchSpec {
    let environment = task.environment.as_object().into_iter().flatten();
    let environment = environment
        .map(|(name, template)| (name.clone(), template.as_str().unwrap_or_default().to_owned()))
        .collect();
    launch_spec(task, task.command.clone(), environment)
}

fn launch_spec(task: &Task, command: Vec<String>, environment: BTreeMap<String, String>) -> LaunchSpec {
    LaunchSpec {
        runner: task.runner,
        target: task.target.clone(),
        settings: task.settings.clone(),
        command,
        environment,
        values: task.values.clone(),
        completion: task.completion,
    }
}

fn write_back(task: &Task, on_status: &str) -> WriteBack {
    let expected = task.write_back.running.as_ref().map_or(on_status, String::as_str);
    WriteBack {
        result_column: task.write_back.result_column.clone(),
        observer: task.write_back.is_observer(),
        expected: vec![expected.to_owned()],
        status_succeeded: task.write_back.succeeded.clone(),
        status_failed: task.write_back.failed.clone(),
        status_runner_failed: task.write_back.runner_failed.clone(),
        running_by_task: task.write_back.running_by_task,
        on_moved: task.write_back.on_moved,
        notify_channel: task.write_back.notify_channel.clone(),
    }
}

impl Task {
    /// Whether its settings are rendered with each row.
    #[must_use]
    pub fn renders_settings(&self) -> bool {
        self.runner == RunnerName::Lambda && self.settings.get("payload").is_some_and(has_template)
    }
}

fn has_template(value: &Value) -> bool {
    match value {
        // What begins a template.
        Value::String(text) => text.contains('{'),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(members) => members.values().any(has_template),
        _ => false,
    }
}

/// Renders every string in a JSON value, in its place. Names of members are left as they are.
fn render_strings(
    value: &mut Value,
    place: String,
    render: &impl Fn(String, &str) -> Result<String, String>,
) -> Result<(), String> {
    match value {
        Value::String(template) => *template = render(place, template)?,
        Value::Array(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                render_strings(item, format!("{place}[{i}]"), render)?;
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                render_strings(member, format!("{place}.{name}"), render)?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Completion, Policy, RetryOn};
    use crate::parameters::{Deadlines, WriteBackColumns};
    use serde_json::json;

    fn task(command: &[&str], environment: Value) -> Task {
        Task {
            version: 1,
            name: "loader".into(),
            enabled: true,
            source_table: 1,
            on_status: "REGISTERED".into(),
            channel: "rowcall_registered".into(),
            runner: RunnerName::Process,
            target: "/bin/true".into(),
            settings: json!({}),
            command: command.iter().map(|s| (*s).to_owned()).collect(),
            environment,
            values: json!({"bucket": "b1"}),
            policy: Policy { max_attempts: 3, backoff: 1.0, backoff_max: 1.0, retry_on: RetryOn::default() },
            completion: Completion::Exit,
            deadlines: Deadlines { timeout: 1.0, launch: 1.0, heartbeat: None },
            max_running: None,
            priority: 0,
            concurrency_key: None,
            max_running_per_key: 1,
            status_loop: None,
            unreadable: None,
            write_back: WriteBackColumns {
                running: Some("PROCESSING".into()),
                running_by_task: false,
                on_moved: crate::job::OnMoved::Finish,
                succeeded: None,
                failed: None,
                runner_failed: None,
                result_column: None,
                notify_channel: None,
            },
        }
    }

    fn rendered(task: &Task) -> Result<Frozen, String> {
        let row = r#"{"id": 7, "attributes": {"path": "a b.csv", "note": null, "tags": ["x", "y"]}}"#;
        let job =
            JobContext { id: JobId::new(1), attempt: 2, row_key: &json!({"id": 7}), on_status: "REGISTERED" };
        render(task, job, row)
    }

    #[test]
    fn templates_see_row_job_and_values() {
        let task = task(
            &["{{ row.attributes.path }}", "{{ job.row_key.id }}/{{ job.attempt }}", "plain $HOME"],
            json!({"BUCKET": "{{ values.bucket }}", "TAGS": "{{ row.attributes.tags | tojson }}"}),
        );
        let request = rendered(&task).unwrap();
        assert_eq!(request.launch.command, ["a b.csv", "7/2", "plain $HOME"]);
        assert_eq!(request.launch.environment["BUCKET"], "b1");
        assert_eq!(request.launch.environment["TAGS"], r#"["x", "y"]"#);
        assert_eq!(request.write_back.expected, ["PROCESSING"]);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_column_and_place() {
        let error = rendered(&task(&["x", "{{ row.attributes.pth }}"], json!({}))).unwrap_err();
        assert!(error.starts_with("parameters.command[2]: "), "{error}");
        assert!(error.contains("{{ row.attributes.pth }}:"), "{error}");
        let error = rendered(&task(&["a {{ row.id }} b {{ row.attributes.pth }} c"], json!({}))).unwrap_err();
        assert!(error.contains(": {{ row.attributes.pth }}: a name"), "{error}");
        let error = rendered(&task(&[], json!({"A": "{{ nothing }}"}))).unwrap_err();
        assert!(error.starts_with("parameters.environment.A: "), "{error}");
    }

    #[test]
    fn a_null_is_not_printed_as_a_word() {
        let error = rendered(&task(&["{{ row.attributes.note }}"], json!({}))).unwrap_err();
        assert!(error.contains("null"), "{error}");
        assert_eq!(
            rendered(&task(&["{{ row.attributes.note or 'none given' }}"], json!({})))
                .unwrap()
                .launch
                .command,
            ["none given"]
        );
    }

    #[test]
    fn strings_in_the_payload_of_a_function_are_templates() {
        let payload =
            json!({"n": 1, "path": "{{ row.attributes.path }}", "{{ x }}": [{"id": "{{ row.id }}"}]});
        let mut task = task(&[], json!({}));
        task.settings = json!({"payload": payload, "qualifier": "{{ row.id }}"});
        assert_eq!(rendered(&task).unwrap().launch.settings, task.settings, "other runners have no such key");
        task.runner = RunnerName::Lambda;
        let rendered_payload = json!({"n": 1, "path": "a b.csv", "{{ x }}": [{"id": "7"}]});
        assert_eq!(
            rendered(&task).unwrap().launch.settings,
            json!({"payload": rendered_payload, "qualifier": "{{ row.id }}"})
        );
        task.settings = json!({"payload": {"a": [1, {"b": "{{ row.attributes.nothing }}"}]}});
        let error = rendered(&task).unwrap_err();
        assert!(
            error.starts_with("parameters.settings.payload.a[1].b: {{ row.attributes.nothing }}: "),
            "{error}"
        );
    }

    #[test]
    fn a_broken_template_says_where() {
        let error = rendered(&task(&["{{ row.x"], json!({}))).unwrap_err();
        assert!(error.contains("parameters.command[1]"), "{error}");
    }
}
