-- The parts of the statements that write rows of a source table (alias t) as is wanted of each (alias w; write_rows_sql.sql has its
-- columns): what is set, whether the row is as expected, what is returned of a result column that holds no object and
-- is left, and whether the write would change nothing: an observer's success has often nothing to say.
create or replace function rowcall_internal.write_parts(
    source rowcall_internal.source_tables, result_column text, observers boolean, out assignments text, out as_expected text, out keeps text, out says_nothing text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    assignments := concat_ws(', ',
        format('%1$I = coalesce(w.status::%2$s, t.%1$I)', source.status_column, source.status_type),
        -- A "message" without an "outcome" of ours is the user's own.
        case when result_column is null then null when observers then format(
            '%1$I = case when w.merge is null then t.%1$I else rowcall_internal.merge_results(t.%1$I, w.task, w.merge) end',
            result_column)
        else format(
            '%1$I = case when w.merge is null then t.%1$I when jsonb_typeof(t.%1$I) = ''object'' '
            'then t.%1$I - case when t.%1$I->>''outcome''::text in (%2$s) '
            'then ''{message,outcome}''::text[] else ''{}'' end || w.merge '
            -- What is no object is the user's own, and keeps its shape.
            'when coalesce(jsonb_typeof(t.%1$I), ''null'') = ''null'' then w.merge else t.%1$I end', result_column,
            (select string_agg(quote_literal(o.outcome), ', ') from rowcall_internal.outcomes() o where o.is_failure)) end,
        -- An empty string says that there is none.
        case when source.touch_column <> '' then format('%I = now()', source.touch_column) end,
        case when source.external_id_column <> ''
            then format('%1$I = coalesce(w.external_id, t.%1$I)', source.external_id_column) end);
    as_expected := case when observers then 'true' else format('w.expected ? t.%I::text', source.status_column) end;
    -- After the update it is what it was before, if it was no object.
    keeps := case when result_column is null or observers then 'null::text' else format(
        'case when w.merge is not null and w.merge <> ''{}'' and jsonb_typeof(t.%1$I) not in (''object'', ''null'') then jsonb_typeof(t.%1$I) end', result_column) end;
    -- As merge_results() has it: what a failure before has left is removed.
    says_nothing := case when result_column is null or not observers then 'false' else format(
        'coalesce(w.merge, ''{}'') = ''{}'' and w.status is null and w.external_id is null '
        'and coalesce(jsonb_typeof(t.%1$I), ''null'') in (''object'', ''null'') and (t.%1$I #>> array[''results'', w.task, ''outcome'']) is null', result_column) end;
end
$$;
