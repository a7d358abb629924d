//! The lengths behind a model's named dimensions: `N`, and expressions of names such as `2*N + 1`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use sedge_statement::Dim;

/// How deep parentheses may nest. Names come from a file; real ones nest once or twice.
const MAX_DEPTH: u8 = 8;

/// Lengths by name.
#[derive(Debug, Default)]
pub(crate) struct Lengths(BTreeMap<String, u64>);

impl Lengths {
    /// Notes that the dimension is `found` long.
    ///
    /// # Errors
    /// The length it must have, where it cannot have that one.
    pub(crate) fn bind(&mut self, dim: &Dim, found: u64) -> Result<(), u64> {
        let wanted = match dim {
            Dim::Fixed(length) => *length,
            Dim::Unknown => return Ok(()),
            Dim::Named(name) if is_compound(name) => match self.evaluate(name) {
                Some(length) => length,
                None => return Ok(()),
            },
            Dim::Named(name) => *self.0.entry(name.clone()).or_insert(found),
        };
        if wanted == found { Ok(()) } else { Err(wanted) }
    }

    /// The length of a compound name, where all names in it are bound and its arithmetic is understood.
    fn evaluate(&self, text: &str) -> Option<u64> {
        evaluate(text, &|name| self.0.get(name).copied())
    }
}

/// A length to try a dimension at where nobody says one: names are 1, expressions follow from that.
pub(crate) fn least(dim: &Dim) -> u64 {
    match dim {
        Dim::Fixed(length) => *length,
        Dim::Named(name) => evaluate(name, &|_| Some(1)).unwrap_or(1),
        Dim::Unknown => 1,
    }
}

/// Whether a name is an expression of other names.
pub(crate) fn is_compound(name: &str) -> bool {
    name.contains(['+', '-', '*', '/', '(', ')'])
}

fn evaluate(text: &str, length_of: &dyn Fn(&str) -> Option<u64>) -> Option<u64> {
    let mut parser = Parser { rest: text.chars().peekable(), length_of, depth: 0 };
    let length = parser.sum()?;
    if parser.next_glyph().is_none() { Some(length) } else { None }
}

/// Sums of products of numbers, names and parentheses; anything else is not understood.
struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    length_of: &'a dyn Fn(&str) -> Option<u64>,
    depth: u8,
}

impl Parser<'_> {
    fn next_glyph(&mut self) -> Option<char> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn take(&mut self, glyph: char) -> bool {
        let there = self.next_glyph() == Some(glyph);
        if there {
            self.rest.next();
        }
        there
    }

    fn sum(&mut self) -> Option<u64> {
        let mut total = self.product()?;
        loop {
            if self.take('+') {
                total = total.checked_add(self.product()?)?;
            } else if self.take('-') {
                total = total.checked_sub(self.product()?)?;
            } else {
                return Some(total);
            }
        }
    }

    fn product(&mut self) -> Option<u64> {
        let mut total = self.atom()?;
        loop {
            if self.take('*') {
                total = total.checked_mul(self.atom()?)?;
            } else if self.take('/') {
                // A second stroke is how Python writes the same: lengths are whole numbers.
                self.take('/');
                total = total.checked_div(self.atom()?)?;
            } else {
                return Some(total);
            }
        }
    }

    fn atom(&mut self) -> Option<u64> {
        if self.take('(') {
            self.depth = self.depth.checked_add(1).filter(|depth| *depth <= MAX_DEPTH)?;
            let inner = self.sum()?;
            self.depth -= 1;
            return self.take(')').then_some(inner);
        }
        self.next_glyph()?;
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
            word.push(c);
        }
        match word.chars().next()? {
            '0'..='9' => word.parse().ok(),
            _ => (self.length_of)(&word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Dim {
        Dim::Named(name.to_owned())
    }

    #[test]
    fn a_name_has_one_length_and_expressions_follow_it() {
        let mut lengths = Lengths::default();
        assert_eq!(lengths.bind(&named("N"), 3), Ok(()));
        assert_eq!(lengths.bind(&named("N"), 4), Err(3));
        assert_eq!(lengths.bind(&named("2*N + 1"), 7), Ok(()));
        assert_eq!(lengths.bind(&named("2*(N + 1)"), 7), Err(8));
        assert_eq!(lengths.bind(&named("N//2"), 1), Ok(()));
    }

    #[test]
    fn what_is_not_understood_is_not_judged() {
        let mut lengths = Lengths::default();
        lengths.bind(&named("N"), 3).unwrap();
        for odd in
            ["ceil(N/2)", "M*2", "N**2", "(", "N-4", "N/0", "2*", "99999999999999999999*N", "((((((((((N))))))))))"]
        {
            assert_eq!(lengths.bind(&named(odd), 77), Ok(()), "{odd}");
        }
    }

    #[test]
    fn the_least_length_of_an_expression_takes_its_names_as_one() {
        assert_eq!(least(&named("batch")), 1);
        assert_eq!(least(&named("2*batch + 1")), 3);
        assert_eq!(least(&named("unk?")), 1);
        assert_eq!(least(&Dim::Fixed(64)), 64);
    }
}
