//! `rowcall run-local`: a task as its developer tries it.

mod containers_on_docker;
