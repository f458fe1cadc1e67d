-- Tables like ours, without triggers.
drop table if exists y_files, y_jobs, y_attempts, y_ended, y_history;
create table y_files (like rowcall.files including all);
create table y_jobs (like rowcall_internal.jobs including all);
create table y_attempts (like rowcall_internal.attempts including all);
create table y_ended (like rowcall_internal.ended_attempts including all);
create table y_history (like rowcall_internal.history including all);
