-- The first error in the settings of a runner, with a hint; nulls if there is none. A key set to null counts as absent,
-- and an absent key of settings itself is no error here: runner_defaults may bring it, even later.
create or replace function rowcall_internal.settings_error(runner text, settings jsonb, out error text, out hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    columns text[];
    meant text;
    keys text[] := array(select k.key from rowcall.settings_keys() k where k.runner = settings_error.runner);
    known record;
    -- One setting, or one member of an item of a list: "place" is what people call it, "key" what the list of keys does.
    part record;
begin
    -- What is no object is left to the CHECK constraint.
    if jsonb_typeof(settings) <> 'object' then
        return;
    end if;
    if keys = '{}' then
        columns := array(select c."column" from rowcall.parameters_columns() c where c.form is not null);
        select format('settings.%s: the %s runner takes no settings%s', s.key, runner, '; did you mean the column ' || c.name || '?'),
            coalesce(format('UPDATE rowcall.parameters SET %s = …', c.name), 'Leave settings at {}.')
        into error, hint
        from jsonb_object_keys(jsonb_strip_nulls(settings)) s(key)
        left join lateral rowcall_internal.similar_word(s.key, columns) c(name) on true
        order by c.name is null, s.key limit 1;
        return;
    end if;
    if runner = 'lambda' and settings -> 'payload' ? 'rowcall' then
        error := 'settings.payload.rowcall: this member is set by the dispatcher';
        hint := 'Choose another name: this member tells the function which job and attempt it works for.';
        return;
    end if;
    settings := jsonb_strip_nulls(settings);
    for part in
        select 'settings.' || s.key as place, s.key, s.key as name, s.value, '' as list
        from jsonb_each(settings) s
        union all
        select format('settings.%s[%s].%s', s.key, i.number - 1, m.key), format('%s[].%s', s.key, m.key),
            m.key, m.value, s.key || '[].'
        from jsonb_each(settings) s
        cross join jsonb_array_elements(case when jsonb_typeof(s.value) = 'array' then s.value else '[]' end)
            with ordinality i(item, number)
        cross join jsonb_each(case when jsonb_typeof(i.item) = 'object' then i.item else '{}' end) m
        where array_position(keys, s.key) is not null
        order by list, place
    loop
        select * into known from rowcall.settings_keys() k
        where k.runner = settings_error.runner and k.key = part.key and (strpos(k.key, '[]') > 0) = (part.list <> '');
        if not found then
            select array_agg(substr(k, length(part.list) + 1)) into keys from unnest(keys) k
            where starts_with(k, part.list) and (part.list <> '' or strpos(k, '[]') = 0);
            columns := array(select c."column" from rowcall.parameters_columns() c where c.form is not null);
            -- Of a setting and a column that are as near, the setting.
            meant := rowcall_internal.similar_word(part.name, keys || case when part.list = '' then columns else '{}' end);
            error := format('%s: the %s runner has no such setting%s', part.place, runner,
                '; did you mean ' || case when meant <> all (keys) then 'the column ' else '' end || meant || '?');
            hint := format('There are: %s.', array_to_string(keys, ', '));
            return;
        end if;
        hint := known.help;
        if not rowcall_internal.setting_fits(known.form, known.minimum, known.maximum, known.pattern, part.value) then
            error := format('%s must be %s, and is %s', part.place, known.allowed,
                case when length(part.value::text) > 80 then left(part.value::text, 79) || '…' else part.value::text end);
        elsif known.form = 'tags' then
            error := rowcall_internal.tags_error(part.value, known.maximum);
        elsif known.form = 'items' then
            select format('%s[%s].%s is missing', part.place, i.number - 1, substr(k.key, length(part.key) + 4)),
                'It must be ' || k.allowed || '.'
            into error, hint
            from jsonb_array_elements(part.value) with ordinality i(item, number)
            cross join rowcall.settings_keys() k
            where k.runner = settings_error.runner and k.needed and starts_with(k.key, part.key || '[].')
              and not i.item ? substr(k.key, length(part.key) + 4)
            order by i.number limit 1;
        end if;
        if error is not null then
            return;
        end if;
        hint := null;
    end loop;
    select t.error, t.hint into error, hint from rowcall_internal.settings_conflict(runner, settings) t;
end
$$;
