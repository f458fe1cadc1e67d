-- What Rowcall's own checks say of a target and settings; nulls if nothing is wrong.
select target_problem as target, settings_problem as settings from rowcall.settings_problems($1, $2, $3::jsonb)
