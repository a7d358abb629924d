//! Where in a model something is: for people, who need to find it, and for tools that point at bytes.

use std::fmt;

use serde::Serialize;

/// How many characters of a name appear in a path: enough to recognize it, too few to flood a log.
const NAME_SHOWN: usize = 48;

/// A place in a model file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The field, as in `graph.initializer[3] "w1".dims`; empty for the file itself.
    pub path: String,
    /// Bytes from the beginning of the file.
    pub offset: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "byte {}", self.offset)
        } else {
            write!(f, "{} (byte {})", self.path, self.offset)
        }
    }
}

/// The way down to the field now being read: frames on the stack, turned to text only for a refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    field: &'static str,
    index: Option<usize>,
    name: Option<&'p str>,
}

impl<'p> Path<'p> {
    /// The file itself.
    pub(crate) const ROOT: Path<'static> = Path { parent: None, field: "", index: None, name: None };

    /// A field that occurs once.
    pub(crate) fn field(&'p self, field: &'static str) -> Path<'p> {
        Path { parent: Some(self), field, index: None, name: None }
    }

    /// One of a repeated field.
    pub(crate) fn item(&'p self, field: &'static str, index: usize) -> Path<'p> {
        Path { index: Some(index), ..self.field(field) }
    }

    /// One element of the thing here.
    pub(crate) fn element(&'p self, index: u64) -> Path<'p> {
        Path { index: usize::try_from(index).ok(), ..self.field("element") }
    }

    /// The same place, with the name that the thing there gives itself.
    pub(crate) fn named(self, name: Option<&'p str>) -> Path<'p> {
        Path { name, ..self }
    }

    /// The place, at a given byte.
    pub(crate) fn at(&self, offset: usize) -> Place {
        Place { path: self.to_string(), offset }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if parent.parent.is_some() {
                f.write_str(".")?;
            }
        }
        f.write_str(self.field)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        match self.name {
            Some(name) if !name.is_empty() => {
                let shown: String = name.chars().take(NAME_SHOWN).collect();
                let more = if shown.len() < name.len() { "…" } else { "" };
                write!(f, " {shown:?}{more}")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_from_the_outside_in() {
        let root = Path::ROOT;
        let graph = root.field("graph");
        let tensor = graph.item("initializer", 3).named(Some("w1"));
        assert_eq!(tensor.field("dims").at(812).to_string(), "graph.initializer[3] \"w1\".dims (byte 812)");
        assert_eq!(root.at(7).to_string(), "byte 7");
    }

    #[test]
    fn a_long_or_hostile_name_is_cut_and_escaped() {
        let root = Path::ROOT;
        let long = "\x1b[31m".repeat(100);
        let shown = root.item("node", 0).named(Some(&long)).to_string();
        assert!(shown.len() < 500 && shown.ends_with('…') && !shown.contains('\x1b'));
    }
}
