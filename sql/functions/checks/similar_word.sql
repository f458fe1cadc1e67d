-- The word of a list that somebody probably meant, or null: the one with the fewest letters inserted, deleted, replaced
-- or exchanged with their neighbour. (The extension fuzzystrmatch has no exchange, and may not be there.)
create or replace function rowcall_internal.similar_word(typed text, words text[]) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    word text;
    best text;
    -- Two mistakes, or three in a long word; more, and it is another word.
    fewest int := 1 + least(length(typed), 9) / 3;
    before_last int[];
    last int[];
    this int[];
begin
    -- So long a word resembles none of ours, and the table below grows with it.
    if typed is null or length(typed) > 63 then
        return null;
    end if;
    foreach word in array array_remove(words, null) loop
        last := array(select generate_series(0, length(word)));
        before_last := last;
        for i in 1..length(typed) loop
            this := array[i];
            for j in 1..length(word) loop
                this[j + 1] := least(last[j + 1] + 1, this[j] + 1,
                    last[j] + (substr(typed, i, 1) <> substr(word, j, 1))::int);
                if i > 1 and j > 1 and substr(typed, i, 1) = substr(word, j - 1, 1)
                    and substr(typed, i - 1, 1) = substr(word, j, 1)
                then
                    this[j + 1] := least(this[j + 1], before_last[j - 1] + 1);
                end if;
            end loop;
            before_last := last;
            last := this;
        end loop;
        if last[length(word) + 1] < fewest then
            fewest := last[length(word) + 1];
            best := word;
        end if;
    end loop;
    return best;
end
$$;
