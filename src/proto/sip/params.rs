//! `key=value` lists as they stand in headers: quoted or bare values, any separator, any white space.

/// Walks a parameter list; values come without their quotes.
#[derive(Debug, Clone)]
pub struct Params<'a> {
    rest: &'a str,
    separator: char,
}

impl<'a> Params<'a> {
    /// Parameters separated by `separator`.
    pub fn new(text: &'a str, separator: char) -> Params<'a> {
        Params { rest: text, separator }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        loop {
            let trimmed = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == self.separator);
            if trimmed.is_empty() {
                return None;
            }
            let end = end_of_part(trimmed, self.separator);
            let (part, rest) = trimmed.split_at(end);
            self.rest = rest;
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (key.trim(), value.trim());
            if !key.is_empty() {
                return Some((key, unquote(value)));
            }
        }
    }
}

fn end_of_part(text: &str, separator: char) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => return at,
            _ => {}
        }
    }
    // a quote that never closes: cut at the first separator after all
    match quoted {
        true => text.find(separator).unwrap_or(text.len()),
        false => text.len(),
    }
}

fn unquote(value: &str) -> &str {
    let value = value.strip_prefix('"').unwrap_or(value);
    value.strip_suffix('"').unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_kind() {
        let all = |text, separator| Params::new(text, separator).collect::<Vec<_>>();
        assert_eq!(all("a=1, b=\"x,y\" ,c = z", ','), [("a", "1"), ("b", "x,y"), ("c", "z")]);
        assert_eq!(all(";rport;branch=z9;", ';'), [("rport", ""), ("branch", "z9")]);
        assert_eq!(all("a=\"open, b=2", ','), [("a", "open"), ("b", "2")]);
        assert_eq!(all(",,=,", ','), []);
    }
}
