-- After a way down: with the tables went triggers that only the functions' files make.
delete from rowcall.functions
