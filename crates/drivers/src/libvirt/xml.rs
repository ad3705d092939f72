//! Reading libvirt's XML. It comes from hosts, and hosts may lie: bad XML is an error, never a panic.

use roxmltree::{Document, Node, ParsingOptions};
use thiserror::Error;

/// No honest document is larger: libvirt's own limit for a string is 4 MiB.
const LARGEST: usize = 4 << 20;
/// No honest document has more elements and attributes.
const MOST_NODES: u32 = 200_000;

/// What is wrong with a document from a host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} cannot be read: {why}")]
pub struct XmlError {
    /// Which document.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl XmlError {
    pub(super) fn new(what: &'static str, why: impl Into<String>) -> Self {
        XmlError { what, why: why.into() }
    }
}

/// Parses a document whose outermost element has to be `root`. Entities and document types are refused.
pub(super) fn parse<'a>(text: &'a str, what: &'static str, root: &str) -> Result<Document<'a>, XmlError> {
    if text.len() > LARGEST {
        return Err(XmlError::new(what, format!("it has {} bytes", text.len())));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|error| XmlError::new(what, error.to_string()))?;
    match document.root_element().tag_name().name() {
        name if name == root => Ok(document),
        name => Err(XmlError::new(what, format!("it begins with <{name}>, not with <{root}>"))),
    }
}

/// Short ways through a document. Names are compared without their namespace, as libvirt does.
pub(super) trait Walk<'a> {
    /// The elements directly inside with this name.
    fn all(self, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>>;
    /// The first of them.
    fn one(self, name: &'static str) -> Option<Node<'a, 'a>>;
    /// The element at the end of a path of names.
    fn at(self, path: &[&'static str]) -> Option<Node<'a, 'a>>;
    /// An attribute that is there and not empty.
    fn attr(self, name: &str) -> Option<&'a str>;
    /// The trimmed text inside, if there is any.
    fn words(self) -> Option<&'a str>;
}

impl<'a> Walk<'a> for Node<'a, 'a> {
    fn all(self, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
        self.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
    }
    fn one(self, name: &'static str) -> Option<Node<'a, 'a>> {
        self.all(name).next()
    }
    fn at(self, path: &[&'static str]) -> Option<Node<'a, 'a>> {
        path.iter().try_fold(self, |node, name| node.one(name))
    }
    fn attr(self, name: &str) -> Option<&'a str> {
        self.attribute(name).filter(|value| !value.is_empty())
    }
    fn words(self) -> Option<&'a str> {
        self.text().map(str::trim).filter(|text| !text.is_empty())
    }
}

/// Text that can stand in an attribute between apostrophes, or between tags.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => out.push_str(&format!("&#{};", c as u32)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_wrong_documents_are_refused() {
        let bomb = "<!DOCTYPE d [<!ENTITY a 'aaaa'>]><domain>&a;</domain>";
        assert!(parse(bomb, "a definition", "domain").is_err());
        let error = parse("<html/>", "a definition", "domain").unwrap_err();
        assert_eq!(error.to_string(), "a definition cannot be read: it begins with <html>, not with <domain>");
    }

    #[test]
    fn what_was_escaped_is_read_back() {
        let odd = "a<b>&'\"\n\tc";
        let text = format!("<x y='{}'/>", escape(odd));
        assert_eq!(Document::parse(&text).unwrap().root_element().attribute("y"), Some(odd));
    }
}
