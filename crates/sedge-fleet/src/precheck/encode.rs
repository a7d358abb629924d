//! The one encoding of each column.

/// Appends an unsigned LEB128.
pub(crate) fn uleb(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let byte = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// Appends a signed LEB128.
pub(crate) fn sleb(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        let sign = byte & 0x40 != 0;
        if (value == 0 && !sign) || (value == -1 && sign) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

fn length(n: usize) -> i64 {
    i64::try_from(n).expect("a column of memory's size")
}

/// Run-length encoding: runs of two or more equal values, literal stretches of different ones, runs of nulls; nothing where there are only nulls.
fn runs<T: Copy + PartialEq>(values: impl IntoIterator<Item = Option<T>>, put: impl Fn(&mut Vec<u8>, T)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut literal = Vec::new();
    let put_literal = |out: &mut Vec<u8>, literal: &mut Vec<T>| {
        if !literal.is_empty() {
            sleb(out, -length(literal.len()));
            literal.drain(..).for_each(|value| put(out, value));
        }
    };
    let mut values = values.into_iter();
    let mut next = values.next();
    while let Some(value) = next {
        let mut run = 1;
        next = values.next();
        while next == Some(value) {
            run += 1;
            next = values.next();
        }
        match value {
            Some(value) if run == 1 => literal.push(value),
            Some(value) => {
                put_literal(&mut out, &mut literal);
                sleb(&mut out, length(run));
                put(&mut out, value);
            }
            None if next.is_none() && out.is_empty() && literal.is_empty() => {}
            None => {
                put_literal(&mut out, &mut literal);
                out.push(0);
                uleb(&mut out, run as u64);
            }
        }
    }
    put_literal(&mut out, &mut literal);
    out
}

/// Encodes a column of integers that may be null; a column of only nulls is absent.
pub(crate) fn nullable_unsigned(values: impl IntoIterator<Item = Option<u64>>) -> Vec<u8> {
    runs(values, uleb)
}

/// Encodes a column of integers.
pub(crate) fn unsigned(values: impl IntoIterator<Item = u64>) -> Vec<u8> {
    runs(values.into_iter().map(Some), uleb)
}

/// Encodes a column of integers as differences; nulls count for nothing; a column of only nulls is absent.
pub(crate) fn deltas(values: impl IntoIterator<Item = Option<i64>>) -> Vec<u8> {
    let mut last = 0i64;
    let differences = values.into_iter().map(|value| {
        value.map(|v| {
            let difference = v.saturating_sub(last);
            last = v;
            difference
        })
    });
    runs(differences, sleb)
}

/// Encodes a column of strings that may be null; a column of only nulls is absent.
pub(crate) fn nullable_strings<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> Vec<u8> {
    runs(values, |out, v| {
        uleb(out, v.len() as u64);
        out.extend(v.as_bytes());
    })
}

/// Encodes a column of booleans: lengths of alternating runs, the first of `false`.
pub(crate) fn booleans(values: impl IntoIterator<Item = bool>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut last, mut count) = (false, 0u64);
    for value in values {
        if value != last {
            uleb(&mut out, count);
            (last, count) = (value, 0);
        }
        count += 1;
    }
    if count > 0 {
        uleb(&mut out, count);
    }
    out
}
