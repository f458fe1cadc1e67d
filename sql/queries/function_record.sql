-- A function has been applied.
insert into rowcall.functions (name, checksum) values ($1, $2)
on conflict (name) do update set checksum = excluded.checksum, applied = now()
