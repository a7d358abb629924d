//! The state that the check keeps, as readers see it: a document's content without Automerge.

use std::borrow::Cow;

use super::Shape;
use super::shape::{Held, Inside, What};
use crate::schema::{Content, Node, NotAMap};

impl Content for Shape {
    type Id = u64;

    fn root(&self) -> u64 {
        0
    }

    fn get(&self, map: &u64, key: &str) -> Result<Option<Node<'_, u64>>, NotAMap> {
        match self.inside(*map) {
            Some(Inside::Map(names)) => Ok(names.get(key).map(|held| self.node(held))),
            _ => Err(NotAMap),
        }
    }

    fn entries(&self, map: &u64) -> impl Iterator<Item = (Cow<'_, str>, Node<'_, u64>)> {
        let names = match self.inside(*map) {
            Some(Inside::Map(names)) => Some(names),
            _ => None,
        };
        names.into_iter().flatten().map(|(name, held)| (Cow::Borrowed(&**name), self.node(held)))
    }

    fn length(&self, list: &u64) -> usize {
        match self.inside(*list) {
            Some(Inside::List(list)) => list.length(),
            _ => 0,
        }
    }

    fn elements(&self, list: &u64) -> impl Iterator<Item = Node<'_, u64>> {
        let list = match self.inside(*list) {
            Some(Inside::List(list)) => Some(list),
            _ => None,
        };
        list.into_iter().flat_map(|list| list.held()).map(|held| self.node(held))
    }
}

impl Shape {
    fn node<'a>(&'a self, held: &'a Held) -> Node<'a, u64> {
        match &held.what {
            What::Object => match self.inside(held.by) {
                Some(Inside::Map(_)) => Node::Map(held.by),
                Some(Inside::List(_)) => Node::List(held.by),
                _ => Node::Other,
            },
            What::Unsigned(n) => Node::Unsigned(*n),
            What::Text(text) => Node::Text(Cow::Borrowed(text)),
            What::Bytes(bytes) => Node::Bytes(Cow::Borrowed(bytes)),
            What::Null => Node::Null,
            What::Other => Node::Other,
        }
    }
}
