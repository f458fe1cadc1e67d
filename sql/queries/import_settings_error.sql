-- What Rowcall's own checks say of a target and settings: nulls if nothing.
select rowcall.target_error($1, $2) as target, s.error as settings
from (select) one left join lateral (select e.error from rowcall.settings_error($1, $3::jsonb) e) s on true
