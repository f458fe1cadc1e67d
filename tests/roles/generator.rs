//! Every function with every kind of argument, and every table in every way, tried as every role: what docs/roles.md does not allow is
//! refused, and nothing changes that it does not allow.

use std::collections::{BTreeMap, BTreeSet};

use rowcall::job::End;
use tokio_postgres::Client;

use super::code;
use crate::support::{ADMIN, LOGIN_PASSWORD, Running, TASKS, TestDatabase, VIEWER};

const OPERATOR: &str = "rowcall_test_operator";
/// It may write watched tables, by a right of its own.
const WRITER: &str = "rowcall_test_writer";

type Words = &'static [&'static str];

/// Logins, the roles that they are members of, and what functions that they may call may change, apart from nothing.
const LOGINS: [(&str, Words, &[Words]); 5] = [
    (WRITER, &[], &[]),
    (VIEWER, &["rowcall_viewer"], &[]),
    (TASKS, &["rowcall_task"], &[OF_TASKS]),
    (OPERATOR, &["rowcall_viewer", "rowcall_operator"], &[OF_OPERATORS]),
    (ADMIN, &["rowcall_viewer", "rowcall_operator", "rowcall_admin"], &[OF_OPERATORS, OF_ADMINS]),
];

const OF_TASKS: &[&str] = &["rowcall_internal.attempts", "rowcall.files", "public.notes"];
const OF_OPERATORS: &[&str] = &[
    "rowcall_internal.jobs",
    "rowcall_internal.attempts",
    "rowcall_internal.history",
    "rowcall_internal.ended_attempts",
    "rowcall_internal.missed_rows",
    "rowcall_internal.control",
    "rowcall.files",
    "public.notes",
];
/// Besides what operators may.
const OF_ADMINS: &[&str] =
    &["rowcall_internal.source_tables", "rowcall_internal.parameters_history", "rowcall.parameters"];

/// A function is called in so many ways at most.
const WAYS: usize = 150;

/// What a refusal for want of a right is.
const REFUSED: &str = "42501";

/// Values of a type, as SQL; TOKEN, JOB and ATTEMPT are those of an attempt that runs.
fn values(kind: &str) -> &'static [&'static str] {
    match kind {
        "text" | "name" | "character varying" => &[
            "null",
            "''",
            "'TOKEN'",
            "'JOB'",
            "'loader'",
            "'rowcall.files'",
            "'public.secrets'",
            "'REGISTERED'",
            "'rowcall_admin'",
            "E'\\'; drop table public.secrets; --'",
            "'$$ || pg_sleep(0) || $$'",
        ],
        "bigint" | "integer" | "smallint" | "numeric" | "double precision" => {
            &["null", "JOB", "ATTEMPT", "0", "-1"]
        }
        "bigint[]" | "integer[]" => &["null", "'{}'", "'{JOB,ATTEMPT,-1}'", "'{NULL}'"],
        "boolean" => &["null", "true", "false"],
        "jsonb" | "json" => &["null", "'{}'", "'{\"id\": 1}'", "'[1]'", "'\"loader\"'"],
        "jsonb[]" => &["null", "'{}'", "array['{\"id\": 1}'::jsonb]", "'{NULL}'"],
        "text[]" => &["null", "'{}'", "'{TOKEN,loader,id}'", "'{NULL}'"],
        "regclass" | "oid" => &[
            "null",
            "'rowcall.files'::regclass",
            "'public.notes'::regclass",
            "'public.secrets'::regclass",
            "'rowcall_internal.instance'::regclass",
        ],
        "interval" => &["null", "'1 second'", "'-1 year'"],
        "timestamp with time zone" => &["null", "now()", "'infinity'"],
        "uuid" => &["null", "'00000000-0000-0000-0000-000000000000'"],
        "jsonpath" => &["null", "'$'"],
        "bytea" => &["null", "''"],
        _ => &["null"],
    }
}

struct Function {
    schema: String,
    name: String,
    arguments: Vec<String>,
}

impl Function {
    /// Calls of it: all combinations, or as many of them, evenly chosen, as are tried at most.
    fn calls(&self) -> Vec<String> {
        let all: usize = self.arguments.iter().map(|kind| values(kind).len()).product();
        let step = all.div_ceil(WAYS).max(1);
        // Prime to the numbers of values, so that each value of each argument comes.
        let step = if step == 1 { 1 } else { step | 1 };
        (0..all)
            .step_by(step)
            .map(|mut way| {
                let mut arguments = Vec::new();
                for kind in &self.arguments {
                    let values = values(kind);
                    // Where a function takes any type, a value says which.
                    let kind = if kind.starts_with("any") { "text" } else { kind.as_str() };
                    arguments.push(format!("({})::{kind}", values[way % values.len()]));
                    way /= values.len();
                }
                format!("select {}.{}({})", self.schema, self.name, arguments.join(", "))
            })
            .collect()
    }
}

struct Tried {
    db: TestDatabase,
    job: i64,
    attempt: i64,
    token: String,
    functions: Vec<Function>,
    /// By role: objects of `grants()`, with their kinds and privileges.
    grants: BTreeMap<String, Vec<(String, String, String)>>,
}

impl Tried {
    async fn new() -> Self {
        let db = TestDatabase::new().await;
        for (name, role) in [(OPERATOR, "in role rowcall_operator"), (WRITER, "")] {
            // Another test program may be at work on the same server.
            db.run(&format!(
                "do $$ begin create role {name} login password '{LOGIN_PASSWORD}' {role};
                 exception when duplicate_object or unique_violation then end $$"
            ))
            .await;
        }
        db.task("loader", "REGISTERED", ("max_attempts", "1")).await;
        db.run(&format!(
            "create table public.notes (id bigint primary key, status text, note text);
             create table public.secrets (id bigint primary key, status text); insert into public.secrets values (1, 'SECRET');
             revoke all on public.secrets from public;
             select rowcall.watch('public.notes');
             grant usage on schema rowcall to {WRITER}; grant select, insert, update on rowcall.files, public.notes to {WRITER}"
        ))
        .await;
        let mut running = Running::start(&db).await;
        // One that is over, one that runs.
        db.run("insert into rowcall.files default values").await;
        let failed = running.launch().await;
        running.end(&failed, End::exited(1));
        db.until("exists (select from rowcall.history)").await;
        db.run("insert into rowcall.files default values").await;
        let launched = running.launch().await;
        db.until("exists (select from rowcall.attempts where launched_at is not null and ended_at is null)")
            .await;
        running.stop().await;
        db.run("insert into rowcall.files default values").await;
        let of_functions = "select n.nspname::text, p.proname::text,
                coalesce((select array_agg(format_type(t, null) order by place) from unnest(p.proargtypes) with ordinality a(t, place)), '{}')
            from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            where n.nspname in ('rowcall', 'rowcall_internal') and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
            order by n.nspname, p.proname, p.oid";
        let functions = db.client.query(of_functions, &[]).await.unwrap();
        let functions = functions
            .iter()
            .map(|row| Function { schema: row.get(0), name: row.get(1), arguments: row.get(2) })
            .collect();
        let mut grants: BTreeMap<String, Vec<(String, String, String)>> = BTreeMap::new();
        let of_grants = "select role, privileges, kind, unnest(objects) from rowcall_internal.grants()";
        for row in db.client.query(of_grants, &[]).await.unwrap() {
            grants.entry(row.get(0)).or_default().push((row.get(3), row.get(2), row.get(1)));
        }
        let (job, attempt) = (launched.attempt.job_id.get(), launched.attempt.id.get());
        Self { db, job, attempt, token: launched.token.clone(), functions, grants }
    }

    fn filled_in(&self, sql: &str) -> String {
        sql.replace("TOKEN", &self.token)
            .replace("JOB", &self.job.to_string())
            .replace("ATTEMPT", &self.attempt.to_string())
    }

    /// Whether `grants()` gives a privilege on an object to one of these roles.
    fn allows(&self, roles: &[&str], kind: &str, object: &str, privilege: &str) -> bool {
        let mine = roles.iter().filter_map(|role| self.grants.get(*role)).flatten();
        mine.into_iter().any(|(named, of, privileges)| {
            named == object && of == kind && privileges.split(", ").any(|one| one == privilege)
        })
    }

    /// A mark of what is in each table, and of who may what.
    async fn marks(&self) -> BTreeMap<String, String> {
        let tables = "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and not c.relispartition and n.nspname in ('rowcall', 'rowcall_internal', 'public')";
        let mut marks = BTreeMap::new();
        for row in self.db.client.query(tables, &[]).await.unwrap() {
            let table: String = row.get(0);
            let name = if table.contains('.') { table.clone() } else { format!("public.{table}") };
            let mark =
                format!("select md5(coalesce(string_agg(t::text, ' ' order by t::text), '')) from {table} t");
            marks.insert(name, self.db.one(&mark).await);
        }
        // Of the server's roles only ours: other tests make some, too.
        let rights = "select md5(concat(
                (select string_agg(concat(r.rolname, r.rolsuper, r.rolcanlogin, r.rolbypassrls, r.rolcreaterole,
                        array(select roleid from pg_auth_members m where m.member = r.oid order by 1)), ' ' order by r.oid)
                    from pg_roles r where r.rolname = any ('{rowcall_test_writer,rowcall_test_viewer,rowcall_test_tasks,rowcall_test_operator,
                        rowcall_test_admin,rowcall_viewer,rowcall_task,rowcall_operator,rowcall_admin,rowcall_writer,rowcall_dispatcher}')),
                (select string_agg(concat(proname, proacl, prosecdef, proowner), ' ' order by proname, oid) from pg_proc
                    where pronamespace = 'rowcall'::regnamespace),
                (select string_agg(concat(relname, relacl, relowner), ' ' order by oid) from pg_class
                    where relnamespace in ('rowcall'::regnamespace, 'rowcall_internal'::regnamespace) and relkind in ('r', 'v', 'p')
                    and not relispartition)))";
        marks.insert("rights".to_owned(), self.db.one(rights).await);
        marks
    }
}

#[tokio::test]
async fn every_function_refuses_what_its_roles_are_not_granted() {
    let tried = Tried::new().await;
    assert!(tried.functions.len() > 100, "{} functions", tried.functions.len());
    let mut wrong = BTreeSet::new();
    let mut calls = 0;
    for (login, roles, may_change) in LOGINS {
        let client = tried.db.connect_as(login).await;
        // A function that waits for something is not what is tried here.
        client.batch_execute("set statement_timeout = '5s'; set lock_timeout = '200ms'").await.unwrap();
        let mut before = tried.marks().await;
        for function in &tried.functions {
            let allowed = tried.allows(roles, "function", &function.name, "EXECUTE");
            for call in function.calls() {
                let call = tried.filled_in(&call);
                let told = client.batch_execute(&call).await.err().map(|error| code(&error));
                calls += 1;
                if !allowed && told.as_deref() != Some(REFUSED) {
                    wrong.insert(format!(
                        "{login}: {}.{} is not refused: {told:?}",
                        function.schema, function.name
                    ));
                }
                if told.is_some_and(|code| code.starts_with("XX") || code.len() != 5) {
                    wrong.insert(format!("{login}: {call} breaks something"));
                }
            }
            if allowed {
                let after = tried.marks().await;
                for (what, mark) in &after {
                    if before.get(what) != Some(mark)
                        && !may_change.iter().any(|tables| tables.contains(&what.as_str()))
                    {
                        wrong.insert(format!("{login}: {} changes {what}", function.name));
                    }
                }
                before = after;
            }
        }
        let after = tried.marks().await;
        assert_eq!(before, after, "{login} has changed something by what was refused");
    }
    assert!(wrong.is_empty(), "of {calls} calls: {wrong:#?}");
    assert_eq!(tried.db.one::<i64>("select count(*) from rowcall.grants_wrong()").await, 0);
}

/// Each way to touch a table, and the privilege that it takes; none: only its owner may.
const WAYS_TO_TOUCH: [(&str, Option<&str>); 8] = [
    ("select * from TABLE limit 1", Some("SELECT")),
    ("insert into TABLE select * from TABLE where false", Some("INSERT")),
    ("update TABLE set COLUMN = COLUMN where false", Some("UPDATE")),
    ("delete from TABLE where false", Some("DELETE")),
    ("truncate TABLE", None),
    ("alter table TABLE add column mine int", None),
    ("create trigger mine before insert on TABLE for each row execute function public.mine()", None),
    ("drop table TABLE", None),
];

async fn touch(tried: &Tried, client: &Client, login: &str, roles: &[&str], wrong: &mut BTreeSet<String>) {
    let all = "select n.nspname::text, c.relname::text, c.relkind = 'v',
            (select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and a.attidentity = '' and a.attgenerated = ''
             order by a.attnum limit 1)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('rowcall', 'rowcall_internal') and c.relkind in ('r', 'v', 'p')";
    for row in tried.db.client.query(all, &[]).await.unwrap() {
        let (schema, name, is_view, column): (String, String, bool, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let kind = if is_view { "view" } else { "table" };
        for (way, privilege) in WAYS_TO_TOUCH {
            let table = format!("{schema}.{name}");
            let sql = way.replace("TABLE", &table).replace("COLUMN", &format!("\"{column}\""));
            let told = client
                .batch_execute(&format!("begin; {sql}; rollback"))
                .await
                .err()
                .map(|error| code(&error));
            let _ = client.batch_execute("rollback").await;
            // Without a right to grant it warns and grants nothing, which the marks show.
            let _ = client.batch_execute(&format!("grant all on {table} to public")).await;
            let allows =
                |privilege| tried.allows(roles, kind, &name, privilege) && schema_is_open(&schema, roles);
            let by_itself =
                login == WRITER && name == "files" && privilege.is_some_and(|one| one != "DELETE");
            let may = by_itself || privilege.is_some_and(allows);
            let is_refused = matches!(told.as_deref(), Some(REFUSED));
            // Whether a view can be written at all is looked at before the right to it.
            let is_impossible =
                is_view && matches!(told.as_deref(), Some("42809" | "55000" | "428C9" | "0A000"));
            if !may && !is_refused && !is_impossible {
                wrong.insert(format!("{login}: {sql}: not refused, but {told:?}"));
            }
            if may && is_refused {
                wrong.insert(format!("{login}: {sql}: refused"));
            }
        }
    }
}

/// Views and tables of the inner schema are for the daemon alone.
fn schema_is_open(schema: &str, roles: &[&str]) -> bool {
    schema == "rowcall" || roles.contains(&"rowcall_dispatcher")
}

#[tokio::test]
async fn every_table_refuses_what_its_roles_are_not_granted() {
    let tried = Tried::new().await;
    tried
        .db
        .run("create function public.mine() returns trigger language plpgsql as 'begin return new; end'")
        .await;
    let mut wrong = BTreeSet::new();
    for (login, roles, _) in LOGINS {
        let client = tried.db.connect_as(login).await;
        let before = tried.marks().await;
        touch(&tried, &client, login, roles, &mut wrong).await;
        for sql in [
            "create table rowcall.mine (id int)",
            "create function rowcall.mine() returns int language sql as 'select 1'",
            "create function rowcall_internal.mine() returns int language sql as 'select 1'",
            "create or replace function rowcall.pause() returns void language sql as 'select'",
            "alter function rowcall.pause(text) owner to current_user",
            "set role rowcall_owner",
            "set role rowcall_dispatcher",
            "set role rowcall_writer",
            "set session authorization postgres",
            "alter schema rowcall rename to mine",
            "drop schema rowcall cascade",
            "grant rowcall_admin to current_user",
            "create extension if not exists dblink schema rowcall",
        ] {
            let told = client
                .batch_execute(&format!("begin; {sql}; rollback"))
                .await
                .err()
                .map(|error| code(&error));
            let _ = client.batch_execute("rollback").await;
            // What is not there cannot be refused: the functions above may be called otherwise in another version.
            if !matches!(told.as_deref(), Some(REFUSED | "42883" | "0A000" | "58P01")) {
                wrong.insert(format!("{login}: {sql}: {told:?}"));
            }
        }
        assert_eq!(before, tried.marks().await, "{login}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
