//! The one encoding of each column, for tests: to hold the decoder to it, and to make what should not come.

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

/// Run-length encoding: runs of two or more equal values, literal stretches of different ones, runs of nulls.
fn runs<T: PartialEq>(values: &[Option<T>], put: impl Fn(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < values.len() {
        let run = values[at..].iter().take_while(|v| **v == values[at]).count();
        match &values[at] {
            None => {
                out.push(0);
                uleb(&mut out, run as u64);
                at += run;
            }
            Some(value) if run > 1 => {
                sleb(&mut out, length(run));
                put(&mut out, value);
                at += run;
            }
            Some(_) => {
                let literal = literal_len(&values[at..]);
                sleb(&mut out, -length(literal));
                values[at..at + literal].iter().flatten().for_each(|value| put(&mut out, value));
                at += literal;
            }
        }
    }
    out
}

/// How many values from the first on differ each from the next.
fn literal_len<T: PartialEq>(values: &[Option<T>]) -> usize {
    (0..values.len()).find(|i| values[*i].is_none() || values.get(i + 1) == Some(&values[*i])).unwrap_or(values.len())
}

/// Encodes a column of integers that may be null; a column of only nulls is absent.
pub(crate) fn nullable_unsigned(values: &[Option<u64>]) -> Vec<u8> {
    if values.iter().all(Option::is_none) { Vec::new() } else { runs(values, |out, v| uleb(out, *v)) }
}

/// Encodes a column of integers.
pub(crate) fn unsigned(values: &[u64]) -> Vec<u8> {
    runs(&values.iter().copied().map(Some).collect::<Vec<_>>(), |out, v| uleb(out, *v))
}

/// Encodes a column of integers as differences; nulls count for nothing; a column of only nulls is absent.
pub(crate) fn deltas(values: &[Option<i64>]) -> Vec<u8> {
    if values.iter().all(Option::is_none) {
        return Vec::new();
    }
    let mut last = 0i64;
    let differences: Vec<Option<i64>> = values
        .iter()
        .map(|value| {
            value.map(|v| {
                let difference = v.saturating_sub(last);
                last = v;
                difference
            })
        })
        .collect();
    runs(&differences, |out, v| sleb(out, *v))
}

/// Encodes a column of strings that may be null; a column of only nulls is absent.
pub(crate) fn nullable_strings<S: AsRef<str> + PartialEq>(values: &[Option<S>]) -> Vec<u8> {
    if values.iter().all(Option::is_none) {
        return Vec::new();
    }
    runs(values, |out, v| {
        uleb(out, v.as_ref().len() as u64);
        out.extend(v.as_ref().as_bytes());
    })
}

/// Encodes a column of booleans: lengths of alternating runs, the first of `false`.
pub(crate) fn booleans(values: &[bool]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut last, mut count) = (false, 0u64);
    for value in values {
        if *value != last {
            uleb(&mut out, count);
            (last, count) = (*value, 0);
        }
        count += 1;
    }
    if count > 0 {
        uleb(&mut out, count);
    }
    out
}
