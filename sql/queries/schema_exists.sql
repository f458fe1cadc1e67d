-- Whether anything of ours is here.
select to_regclass('rowcall.migrations') is not null
