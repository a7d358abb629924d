//! What readers ask of a document, whoever holds it: Automerge, while the author writes, or what the check of links keeps.

use std::borrow::Cow;

use automerge::{ObjId, ObjType, ROOT, ReadDoc, ScalarValue, ScalarValueRef, Value, ValueRef};

/// A value, or the object that stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node<'a, Id> {
    Map(Id),
    List(Id),
    Unsigned(u64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Null,
    /// Of a type that no place of the schema has.
    Other,
}

/// Something else than a map was asked for its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAMap;

/// A document as readers see it. Entries come in the order of their keys, elements in that of the list.
pub(crate) trait Content {
    /// Names an object.
    type Id;

    /// The outermost map.
    fn root(&self) -> Self::Id;

    /// What stands at a map's key.
    fn get(&self, map: &Self::Id, key: &str) -> Result<Option<Node<'_, Self::Id>>, NotAMap>;

    /// What a map holds.
    fn entries(&self, map: &Self::Id) -> impl Iterator<Item = (Cow<'_, str>, Node<'_, Self::Id>)>;

    /// How many elements a list has.
    fn length(&self, list: &Self::Id) -> usize;

    /// A list's elements.
    fn elements(&self, list: &Self::Id) -> impl Iterator<Item = Node<'_, Self::Id>>;
}

impl<D: ReadDoc> Content for D {
    type Id = ObjId;

    fn root(&self) -> ObjId {
        ROOT
    }

    fn get(&self, map: &ObjId, key: &str) -> Result<Option<Node<'_, ObjId>>, NotAMap> {
        let found = ReadDoc::get(self, map, key).map_err(|_| NotAMap)?;
        Ok(found.map(|(value, id)| match value {
            Value::Object(ObjType::Map) => Node::Map(id),
            Value::Object(ObjType::List) => Node::List(id),
            Value::Object(_) => Node::Other,
            Value::Scalar(scalar) => match scalar.into_owned() {
                ScalarValue::Uint(n) => Node::Unsigned(n),
                ScalarValue::Str(text) => Node::Text(Cow::Owned(text.to_string())),
                ScalarValue::Bytes(bytes) => Node::Bytes(Cow::Owned(bytes)),
                ScalarValue::Null => Node::Null,
                _ => Node::Other,
            },
        }))
    }

    fn entries(&self, map: &ObjId) -> impl Iterator<Item = (Cow<'_, str>, Node<'_, ObjId>)> {
        self.map_range(map, ..).map(|item| {
            let id = item.id();
            (item.key, node(item.value, id))
        })
    }

    fn length(&self, list: &ObjId) -> usize {
        ReadDoc::length(self, list)
    }

    fn elements(&self, list: &ObjId) -> impl Iterator<Item = Node<'_, ObjId>> {
        self.list_range(list, ..).map(|item| {
            let id = item.id();
            node(item.value, id)
        })
    }
}

fn node(value: ValueRef<'_>, id: ObjId) -> Node<'_, ObjId> {
    match value {
        ValueRef::Object(ObjType::Map) => Node::Map(id),
        ValueRef::Object(ObjType::List) => Node::List(id),
        ValueRef::Scalar(ScalarValueRef::Uint(n)) => Node::Unsigned(n),
        ValueRef::Scalar(ScalarValueRef::Str(text)) => Node::Text(text),
        ValueRef::Scalar(ScalarValueRef::Bytes(bytes)) => Node::Bytes(bytes),
        ValueRef::Scalar(ScalarValueRef::Null) => Node::Null,
        _ => Node::Other,
    }
}
