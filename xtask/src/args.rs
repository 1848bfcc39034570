//! The command line of a subcommand: flags and valued options, nothing positional.

use crate::error::{Result, usage};

#[derive(Debug)]
pub(crate) struct Args(Vec<String>);

impl Args {
    pub(crate) fn new(args: &[String]) -> Self {
        Self(args.to_vec())
    }

    /// Whether `name` is given; takes it.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|arg| arg != name);
        self.0.len() != before
    }

    /// The value of `name VALUE` or `name=VALUE`; takes both words.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>> {
        let joined = format!("{name}=");
        let Some(at) = self.0.iter().position(|arg| arg == name || arg.starts_with(&joined)) else {
            return Ok(None);
        };
        let arg = self.0.remove(at);
        if let Some(value) = arg.strip_prefix(&joined) {
            return Ok(Some(value.to_owned()));
        }
        if at >= self.0.len() {
            return Err(usage(format!("{name} wants a value")));
        }
        Ok(Some(self.0.remove(at)))
    }

    /// As [`value`](Self::value), for a number.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u64>> {
        self.value(name)?.map(|text| parse(name, &text)).transpose()
    }

    /// Fails when anything was not taken.
    pub(crate) fn finish(self) -> Result {
        match self.0.first() {
            Some(arg) => Err(usage(format!("{arg}: not an option of this command"))),
            None => Ok(()),
        }
    }
}

fn parse(name: &str, text: &str) -> Result<u64> {
    text.parse().map_err(|_| usage(format!("{name} wants a number, not {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn args(words: &[&str]) -> Args {
        Args(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn both_spellings_of_a_value() {
        assert_eq!(args(&["--cpus", "4"]).number("--cpus").unwrap(), Some(4));
        assert_eq!(args(&["--cpus=4"]).number("--cpus").unwrap(), Some(4));
        assert_eq!(args(&["--mem"]).number("--cpus").unwrap(), None);
    }

    #[test]
    fn leftovers_and_missing_values_are_errors() {
        assert!(args(&["--cpus"]).value("--cpus").is_err());
        assert!(args(&["--cpus", "x"]).number("--cpus").is_err());
        assert!(args(&["--what"]).finish().is_err());
        let mut all = args(&["--backup", "--cpus", "4"]);
        assert!(all.flag("--backup"));
        all.number("--cpus").unwrap();
        assert!(all.finish().is_ok());
    }
}
