-- A lock that is waited for holds up all who ask for it later.
set local lock_timeout = '100ms'
