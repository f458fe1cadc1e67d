-- Undoes a transaction, and then what code of users may have left in its session that a rollback does not undo: the session belongs
-- to a pooler, which gives it to another program after the end. Hence the same session for both (AND CHAIN).
rollback and chain;
reset role;
reset all;
select pg_advisory_unlock_all();
commit
