-- Whether a column of this type may be part of a row's key. Each of these types has one text for each value, which does
-- not depend on a session's settings (once the zone is UTC), which is read back exactly, and which no reader of JSON
-- rounds; and none of them runs code of its owner when a value is read, printed or compared.
create or replace function rowcall_internal.key_type_allowed(type regtype) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select t.oid = any ('{int2,int4,int8,numeric,text,varchar,bpchar,bytea,uuid,bool,date,time,timestamp,timestamptz}'::regtype[])
        or t.typtype = 'e'
        or t.typname = 'citext' and t.typtype = 'b' and exists (
            select from pg_depend d join pg_extension e on e.oid = d.refobjid
            where d.classid = 'pg_type'::regclass and d.objid = t.oid
              and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and e.extname = 'citext')
    from pg_type t where t.oid = type
$$;
