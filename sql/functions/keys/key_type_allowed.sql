-- Whether a column of this type may be part of a row's key. Every value of these types has one text, which no setting
-- of a session changes (once the zone is UTC), and which is read back exactly. To read, print or compare a value runs
-- no code of the type's owner.
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
