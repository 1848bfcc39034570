//! The guards in a source file: `if … { … return/continue/break … }` without `else`.

use core::ops::Range;

use proc_macro2::{Delimiter, LexError, Spacing, TokenStream, TokenTree};

/// A guard and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    /// The line of its `if`, from 1.
    pub line: usize,
    /// The bytes of its condition.
    pub condition: Range<usize>,
    /// Whether the condition binds names, so that it cannot stand in parentheses.
    pub binds: bool,
}

/// All guards of `text` but those of tests and of `const fn`, which nothing can switch at run time;
/// and how many of the latter there are.
pub(super) fn guards(text: &str) -> Result<(Vec<Guard>, usize), LexError> {
    let mut found = Found::default();
    found.block(text.parse()?, false);
    Ok((found.guards, found.constant))
}

#[derive(Default)]
struct Found {
    guards: Vec<Guard>,
    constant: usize,
}

impl Found {
    /// Looks through the tokens of a block and of all groups in it.
    fn block(&mut self, tokens: TokenStream, constant: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut in_const) = (0, constant);
        while let Some(token) = tokens.get(at) {
            let behind = tokens.get(at.saturating_add(1)..).unwrap_or_default();
            if is_word(token, "const")
                && matches!(behind.iter().find(|next| !is_word(next, "unsafe")), Some(next) if is_word(next, "fn"))
            {
                in_const = true;
            }
            if let Some(attribute) = attribute(token, behind) {
                at = at.saturating_add(2);
                if attribute.starts_with("cfg (test") || attribute == "test" {
                    // What it stands before is left out, to the end of its body.
                    let body = |token: &TokenTree| braces(token).is_some() || is_sign(token, ';');
                    let rest = tokens.get(at..).unwrap_or_default();
                    at = at.saturating_add(
                        rest.iter().position(body).map_or(rest.len(), |end| end.saturating_add(1)),
                    );
                }
                continue;
            }
            if starts_statement(tokens.get(..at).unwrap_or_default()) && is_word(token, "if") {
                self.judge(token, behind, in_const);
            }
            if let TokenTree::Group(group) = token {
                self.block(group.stream(), in_const);
                // The body of a function ends what its head said.
                in_const = if group.delimiter() == Delimiter::Brace { constant } else { in_const };
            }
            at = at.saturating_add(1);
        }
    }

    fn judge(&mut self, start: &TokenTree, behind: &[TokenTree], constant: bool) {
        let Some(end) = (0..behind.len()).find(|&at| is_body(behind, at)) else { return };
        let (Some(body), Some(condition)) = (behind.get(end).and_then(braces), behind.get(..end)) else {
            return;
        };
        let otherwise = behind.get(end.saturating_add(1)).is_some_and(|next| is_word(next, "else"));
        let (Some(first), Some(last)) = (condition.first(), condition.last()) else { return };
        if otherwise || is_arm(condition) || !leaves(body) {
            return;
        }
        if constant {
            self.constant = self.constant.saturating_add(1);
            return;
        }
        self.guards.push(Guard {
            line: start.span().start().line,
            condition: first.span().byte_range().start..last.span().byte_range().end,
            binds: condition.iter().any(|token| is_word(token, "let")),
        });
    }
}

/// Whether a statement may begin behind `before`.
fn starts_statement(before: &[TokenTree]) -> bool {
    before.last().is_none_or(|last| is_sign(last, ';') || braces(last).is_some())
}

/// Whether the token at `at` is the body: braces that no pattern or expression goes on behind.
fn is_body(tokens: &[TokenTree], at: usize) -> bool {
    let goes_on = |next: &TokenTree| match next {
        TokenTree::Punct(sign) => {
            matches!(sign.as_char(), '=' | '|' | '.' | '?' | '<' | '>')
                || (sign.as_char() == '&' && sign.spacing() == Spacing::Joint)
        }
        _ => false,
    };
    tokens.get(at).and_then(braces).is_some() && !tokens.get(at.saturating_add(1)).is_some_and(goes_on)
}

/// Whether the `if` stands behind a pattern: what follows its condition is the body of an arm.
fn is_arm(condition: &[TokenTree]) -> bool {
    condition
        .windows(2)
        .any(|pair| matches!(pair, [equal, greater] if is_sign(equal, '=') && is_sign(greater, '>')))
}

/// Whether the last statement of a block leaves the function, the loop or the turn.
fn leaves(body: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    let last = tokens.split(|token| is_sign(token, ';')).rfind(|statement| !statement.is_empty());
    let word = last.and_then(|statement| statement.first());
    word.is_some_and(|word| ["return", "continue", "break"].iter().any(|leave| is_word(word, leave)))
}

fn attribute(token: &TokenTree, behind: &[TokenTree]) -> Option<String> {
    let TokenTree::Group(group) = behind.first()? else { return None };
    (is_sign(token, '#') && group.delimiter() == Delimiter::Bracket).then(|| group.stream().to_string())
}

fn braces(token: &TokenTree) -> Option<TokenStream> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    }
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::guards;

    fn conditions(text: &str) -> Vec<&str> {
        let (found, _) = guards(text).unwrap();
        found.iter().map(|guard| &text[guard.condition.clone()]).collect()
    }

    #[test]
    fn guards_are_found_wherever_they_stand() {
        assert_eq!(conditions("fn f() { if a || b { return 1; } 2 }"), ["a || b"]);
        assert_eq!(conditions("fn f() { for x in y { g(); if x > 3 { say(); continue; } } }"), ["x > 3"]);
        assert_eq!(
            conditions("fn f() { loop { let z = 1; if let A { b, .. } = z { break; } } }"),
            ["let A { b, .. } = z"]
        );
        assert_eq!(conditions("fn f() { m(|| { if a { return Err(b) } }) }"), ["a"]);
        assert_eq!(conditions("fn f() { if a { if b { return; } g(); } }"), ["b"]);
        assert_eq!(conditions("fn f() { if x.y(|z| { z }).q() { return; } }"), ["x.y(|z| { z }).q()"]);
    }

    #[test]
    fn what_is_no_guard_is_left() {
        for text in [
            "fn f() { if a { return 1; } else { g() } }",
            "fn f() { if a { g(); } }",
            "fn f() { let x = if a { return 1; } else { 2 }; }",
            "fn f() { if a { return 1 } else if b { return 2 } else { return 3 } }",
            "#[cfg(test)] mod tests { fn f() { if a { return; } } }",
            "#[test] fn f() { if a { return; } }",
            "fn f() { match a { B { c } if c == d => { return; } _ => {} } }",
        ] {
            assert!(conditions(text).is_empty(), "{text}");
        }
        assert_eq!(guards("const fn f() { if a { return; } } fn g() { if b { return; } }").unwrap().1, 1);
        assert_eq!(conditions("const fn f() { if a { return; } } fn g() { if b { return; } }"), ["b"]);
        assert_eq!(conditions("#[cfg(test)] mod tests; fn g() { if b { return; } }"), ["b"]);
    }
}
