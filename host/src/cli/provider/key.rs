//! A provider's key, on ways that leave it in no history and no list of processes.

use std::io::BufRead;

use clap::Args;

use crate::cli::{Failure, environment};

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct KeyArgs {
    /// Read the key from the first line of stdin
    #[arg(long)]
    key_stdin: bool,

    /// Read the key from this variable of the environment
    #[arg(long, value_name = "VARIABLE")]
    key_env: Option<String>,
}

impl KeyArgs {
    pub(super) fn is_given(&self) -> bool {
        self.key_stdin || self.key_env.is_some()
    }

    pub(super) fn read(&self) -> Result<Option<String>, Failure> {
        if let Some(variable) = &self.key_env {
            let missing = || Failure::bad_input(format!("the variable {variable} is not set, or empty"));
            return environment(variable).ok_or_else(missing).map(Some);
        }
        if self.key_stdin { first_line(std::io::stdin().lock()).map(Some) } else { Ok(None) }
    }
}

fn first_line(mut input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    let read = input.read_line(&mut line);
    read.map_err(|error| Failure::bad_input(format!("stdin cannot be read: {error}")))?;
    match line.trim() {
        "" => Err(Failure::bad_input("there is no key on stdin")),
        key => Ok(key.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_line() {
        assert_eq!(first_line(" sk-1\r\nmore".as_bytes()), Ok("sk-1".to_owned()));
        assert_eq!(first_line(b"\n".as_slice()).unwrap_err().code(), 64);
    }
}
