//! The error codes that the headers list with each function. What the tests of this crate provoke
//! is held against these lists call by call (`common::listed`).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod common;

use common::listed::Lists;

const HEADER: &str = "\
#define LIBKDUMP_OK 0
#define LIBKDUMP_END 1
#define LIBKDUMP_ERR_IO -4104
#define LIBKDUMP_ERR_HOLE -4108

/**
 * Reads. What is LIBKDUMP_ERR_HOLE elsewhere is not one here.
 *
 * Errors: LIBKDUMP_ERR_IO.
 */
int libkdump_read(int from, struct libkdump_error *error);

/**
 * Steps. Returns LIBKDUMP_END behind the last. Errors: those of libkdump_read(),
 * LIBKDUMP_ERR_HOLE.
 */
int libkdump_step(int from,
                  struct libkdump_error *error);

/**
 * Errors: LIBKDUMP_ERR_MADE_UP, those of libkdump_gone().
 */
int libkdump_wrong(struct libkdump_error *error);
";

#[test]
fn what_is_not_listed_is_noticed() {
    let lists = Lists::new(&[HEADER]);
    let said = |function, code| lists.judge(function, code).err().unwrap_or_default();
    assert_eq!(said("libkdump_read", 0) + &said("libkdump_read", -4104), "");
    assert_eq!(said("libkdump_read", -4108), "libkdump_read returned LIBKDUMP_ERR_HOLE: not listed");
    assert_eq!(said("libkdump_read", 1), "libkdump_read returned LIBKDUMP_END: not listed");
    assert_eq!(said("libkdump_read", -1), "libkdump_read returned -1, which is no code");
    assert_eq!([0, 1, -4104, -4108].map(|code| said("libkdump_step", code)), ["", "", "", ""]);
    let unknown: Vec<_> =
        lists.unknown.iter().map(|(function, name)| (function.as_str(), name.as_str())).collect();
    let made_up = [("libkdump_wrong", "LIBKDUMP_ERR_MADE_UP"), ("libkdump_wrong", "libkdump_gone")];
    assert_eq!(unknown, made_up);
}

/// Nothing is listed that does not exist, and no function that can fail is overlooked.
#[test]
fn the_lists_of_the_headers_name_what_there_is() {
    let lists = Lists::of_headers();
    assert_eq!(lists.unknown, []);
    let prototypes: usize = common::listed::HEADERS
        .iter()
        .map(|text| text.matches("struct libkdump_error *error)").count())
        .sum();
    assert!(
        prototypes > 60 && lists.functions.len() == prototypes,
        "{} of {prototypes}",
        lists.functions.len()
    );
    assert!(lists.codes.len() > 20, "{}", lists.codes.len());
}

/// A function that walks says that it ends, and no other does.
#[test]
fn what_takes_an_index_or_a_cursor_has_an_end() {
    let lists = Lists::of_headers();
    let ends = |name: &&String| lists.functions[*name].contains("LIBKDUMP_END");
    let with_end: Vec<_> = lists.functions.keys().filter(ends).collect();
    assert_eq!(with_end, lists.steps.iter().collect::<Vec<_>>());
    assert!(with_end.len() > 20, "{with_end:?}");
}
