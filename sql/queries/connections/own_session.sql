-- Prepares a session that is ours alone. Statements that look at all open attempts look so costly to Postgres, where there are many,
-- that it would compile them, which takes a second of a processor for what takes 30 ms.
set jit = off
