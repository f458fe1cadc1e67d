//! What the demo shows: each change as it happens, and the rows at the end.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;
use tokio_postgres::Client;

/// One line per row: its job, its latest attempt, its end.
const STATE: &str = "
    select f.id,
        coalesce(j.task, h.task),
        case
            when j.state = 'running' and a.started_at is null then 'starting, attempt ' || a.number
            when j.state = 'running' then concat('running, attempt ', a.number,
                case when a.progress is not null then format(', %s %%', round((a.progress * 100)::numeric)) end)
            when j.state = 'waiting' then concat('attempt ', j.attempt_count, ' failed: ', j.reason, '; again in ',
                round(greatest(extract(epoch from j.due_at - now()), 0)::numeric, 1), ' s')
            when j.state is not null then concat(case j.state when 'pending' then 'queued' else j.state end, ' ' || j.reason)
            when h.outcome is not null then 'done: ' || h.outcome
            else 'nothing runs for ' || f.status
        end,
        f.status,
        j.state = 'waiting'
    from rowcall.files f
    left join rowcall.jobs j on j.row_key = jsonb_build_object('id', f.id)
    left join rowcall.attempts a on a.id = j.attempt_id
    left join rowcall.history h on h.row_key = jsonb_build_object('id', f.id)
    order by f.id";

/// Remembers what was shown, to show only changes.
pub struct Progress {
    begun: Instant,
    shown: HashMap<i64, String>,
}

impl Progress {
    pub fn new(begun: Instant) -> Self {
        Self { begun, shown: HashMap::new() }
    }

    pub async fn show(&mut self, client: &Client) -> anyhow::Result<()> {
        for row in client.query(STATE, &[]).await? {
            let id: i64 = row.get(0);
            let task: Option<&str> = row.get(1);
            let text: &str = row.get(2);
            let status: &str = row.get(3);
            // The countdown of a wait changes all the time; the wait is shown once.
            let countdown = row.get::<_, Option<bool>>(4) == Some(true);
            let known = if countdown { text.split("; again in").next().unwrap_or(text) } else { text };
            if self.shown.get(&id).is_some_and(|shown| shown == known) {
                continue;
            }
            self.shown.insert(id, known.to_owned());
            let task = task.unwrap_or("");
            println!(
                "{:>7.2} s  row {id}  {status:<18}  {task:<14}  {text}",
                self.begun.elapsed().as_secs_f64()
            );
        }
        Ok(())
    }
}

/// The rows as they are.
pub async fn table(client: &Client) -> anyhow::Result<()> {
    println!("\nSELECT id, status, attributes FROM rowcall.files;");
    println!(" id | status     | attributes\n----+------------+-----------");
    for row in client.query("select id, status, attributes from rowcall.files order by id", &[]).await? {
        let (id, status): (i64, &str) = (row.get(0), row.get(1));
        let attributes: Option<Value> = row.get(2);
        println!(" {id:>2} | {status:<10} | {}", attributes.unwrap_or_default());
    }
    Ok(())
}
