#!/bin/sh
# Writes the rows of a table in which a column has a value to a file, as JSON or CSV. It knows nothing of
# Rowcall: it exits with 0 and prints its result as the last line, or complains and exits with another code.
# rowcall-task tells the database which:
#
#   rowcall-task exec -- examples/file_download.sh TABLE COLUMN VALUE FORMAT OUTPUT_FILE [SCHEMA]
set -eu

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

[ $# -eq 5 ] || [ $# -eq 6 ] || fail "usage: $0 TABLE COLUMN VALUE json|csv OUTPUT_FILE [SCHEMA]"
: "${PGHOST:?is not set; rowcall-task exec sets it from the setting tasks.database_url}"
case $4 in
    json) json=true ;;
    csv) json=false ;;
    *) fail "unknown format $4: it may be json or csv" ;;
esac
# With a directory in front, no name can be taken for an option.
case $5 in
    /*) output=$5 ;;
    *) output=./$5 ;;
esac
[ -d "${output%/*}/" ] || fail "cannot write $5: there is no directory ${output%/*}"
[ ! -e "$output" ] || [ -f "$output" ] || fail "cannot write $5: it is there and not a plain file"

# Written beside the file and renamed when complete, so that no reader sees half of it.
part=$output.${ROWCALL_JOB:-0}-${ROWCALL_ATTEMPT:-0}.part
trap 'rm -f "$part"' EXIT
trap 'exit 143' HUP INT TERM

# Arguments reach the SQL as variables only, which psql quotes: :'a value', :"a name". FETCH_COUNT lets rows pass
# through in portions, however many there are. A terse error is one line, which becomes the row's message. The
# file is written by cat because psql itself would not say that the disk is full.
export part PGCLIENTENCODING=UTF8
result=$(psql --no-psqlrc --quiet --no-align -v ON_ERROR_STOP=1 -v VERBOSITY=terse -v FETCH_COUNT=1000 \
    -v schema="${6:-public}" -v table="$1" -v column="$2" -v value="$3" -v json="$json" \
    -v name="$5" <<'SQL'
\o | cat > "$part" || rm -f "$part"
\if :json
    \pset tuples_only on
    \qecho '['
    select case when row_number() over () > 1 then ',' else '' end || row_to_json(r.*)
    from :"schema".:"table" r where r.:"column" = :'value';
    \set records :ROW_COUNT
    \qecho ']'
\else
    \pset format csv
    select r.* from :"schema".:"table" r where r.:"column" = :'value';
    \set records :ROW_COUNT
    \pset format unaligned
    \pset tuples_only on
\endif
\o
\set bytes `cat "$part" 2> /dev/null | wc -c`
select json_build_object('name', :'name', 'bytes', :'bytes'::bigint, 'record_count', :'records'::bigint);
SQL
)
[ -e "$part" ] || fail "cannot write $5"
mv -f "$part" "$output"
printf '%s\n' "$result"
