-- Ends what a session can keep of what triggers of users have set in it: its role, settings, and locks. Its temporary tables
-- come last in every path of ours.
reset role; reset all; select pg_advisory_unlock_all()
