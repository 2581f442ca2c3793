//! YAML to tree. The parser gives events; here they become what the same text in JSON would be: scalars by the core
//! schema of YAML 1.2, keys as text, aliases as copies. What JSON cannot say is refused: tags, keys that are no
//! scalars, several documents. Merge keys (`<<`) are YAML 1.1 and mean nothing.

mod copy;

use std::{collections::HashMap, ops::Range};

use granit_parser::{
    ErrorKind, Event, Parser, ScalarStyle, ScanError, Span as Place, StrInput, StructureStyle, Tag,
};

use self::copy::Anchor;
use super::{
    Node, NodeKind, Span,
    members::Members,
    parse::{MAX_DEPTH, Refused, ceil_boundary, empty, in_lower_case, too_deep},
    scalar,
};
use crate::diagnostic::{
    Diagnostic, Problems,
    codes::{DOCUMENTS, NOT_JSON, SYNTAX},
};

/// Reads the one document of a text. What is wrong with a value is reported, and the tree has something in its place.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Result<Node, Refused> {
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { text, parser, problems, anchors: HashMap::new(), copied: 0 };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd, _) => return Err(empty(text)),
            (event, place) => {
                let root = reader.node(event, &place, 1)?;
                reader.rest()?;
                return Ok(root);
            }
        }
    }
}

struct Reader<'a, 'p> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    problems: &'p mut Problems,
    anchors: HashMap<usize, Anchor>,
    /// What anchors and aliases hold a second time.
    copied: usize,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Place), Refused> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(refuse(&error, self.text)),
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    /// After the document nothing may come.
    fn rest(&mut self) -> Result<(), Refused> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), place) => {
                    let place = self.range(&place);
                    self.problems
                        .report(DOCUMENTS, place, "a second document begins here")
                        .hint("a definition is one document: put the others into files of their own");
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// The value that begins with an event. `depth` counts the arrays and objects around it, itself included.
    fn node(&mut self, event: Event<'a>, place: &Place, depth: usize) -> Result<Node, Refused> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the enum is the parser's: of its events four are values"
        )]
        let (node, anchor) = match event {
            Event::Scalar(value, style, anchor, tag) => {
                (self.scalar(&value, style, tag.as_deref(), place), anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.collection(tag.as_deref(), "seq", place, depth)?;
                (self.sequence(style, place, depth)?, anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.collection(tag.as_deref(), "map", place, depth)?;
                (self.mapping(style, place, depth)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, place, depth),
            _ => return Err(unexpected(self.range(place))),
        };
        if anchor != 0 {
            self.anchor(anchor, &node)?;
        }
        Ok(node)
    }

    fn sequence(&mut self, style: StructureStyle, place: &Place, depth: usize) -> Result<Node, Refused> {
        let mut elements = Vec::new();
        let end = loop {
            match self.next()? {
                (Event::SequenceEnd, end) => break end,
                (event, place) => elements.push(self.node(event, &place, depth + 1)?),
            }
        };
        let last = elements.last().map(|element| element.span);
        let mut span = self.span_of(style, place, &end, last);
        // A list that is not indented has the place of its first element: it begins with the hyphen before that.
        let hyphen = self.text[..span.start()].trim_end().strip_suffix('-').map(str::len);
        if let (Some(hyphen), true) =
            (hyphen, elements.first().is_some_and(|first| first.span.start() == span.start()))
        {
            span = Span::new(hyphen, span.end());
        }
        Ok(Node { span, kind: NodeKind::Array(elements) })
    }

    fn mapping(&mut self, style: StructureStyle, place: &Place, depth: usize) -> Result<Node, Refused> {
        let mut members = Members::with_capacity(0);
        let mut last = None;
        let end = loop {
            let (event, key_place) = self.next()?;
            if event == Event::MappingEnd {
                break key_place;
            }
            let key = self.key(event, &key_place, depth)?;
            let (event, value_place) = self.next()?;
            let value = self.node(event, &value_place, depth + 1)?;
            last = Some(value.span);
            if let Some(key) = key {
                members.push(key, self.span(&key_place), value, self.problems);
            }
        };
        let span = self.span_of(style, place, &end, last);
        Ok(Node { span, kind: NodeKind::Object(members.into_list()) })
    }

    /// A key is the text of its scalar: `on`, `200` and `null` are keys like any other. `None`: it is something
    /// else, which was reported.
    fn key(&mut self, event: Event<'a>, place: &Place, depth: usize) -> Result<Option<Box<str>>, Refused> {
        if let Event::Scalar(value, style, anchor, None) = &event {
            let value: Box<str> =
                if self.is_empty(*style, place) { "".into() } else { value.as_ref().into() };
            if *anchor != 0 {
                let node = Node { span: self.span(place), kind: NodeKind::Text(value.clone()) };
                self.anchor(*anchor, &node)?;
            }
            return Ok(Some(value));
        }
        let node = self.node(event, place, depth + 1)?;
        self.problems
            .report(NOT_JSON, node.span.range(), "a key is a text of one line")
            .hint("write the text itself, without a tag and without an alias");
        Ok(None)
    }

    /// Before the parts of a collection are read.
    fn collection(
        &mut self,
        tag: Option<&Tag>,
        own: &str,
        place: &Place,
        depth: usize,
    ) -> Result<(), Refused> {
        if depth > MAX_DEPTH {
            return Err(too_deep(self.range(place).start));
        }
        if tag.is_some_and(|tag| tag.core_suffix() != Some(own)) {
            self.tag(place);
        }
        Ok(())
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, tag: Option<&Tag>, place: &Place) -> Node {
        let span = self.span(place);
        if self.is_empty(style, place) && tag.is_none() {
            return Node { span: self.indicator(span), kind: NodeKind::Null };
        }
        let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
        if tag.is_some() && !is_text {
            self.tag(place);
        }
        let kind = if style == ScalarStyle::Plain && !is_text {
            scalar::plain(value, span, self.problems)
        } else {
            NodeKind::Text(value.into())
        };
        Node { span, kind }
    }

    fn tag(&mut self, place: &Place) {
        let tag = place.tag_span().as_ref().map_or_else(|| self.range(place), |tag| self.range(tag));
        self.problems
            .report(NOT_JSON, tag, "the tag means nothing here")
            .hint("`!!str` makes a text of a scalar; other tags have no form in JSON");
    }

    /// Whether nothing is written where a value could be: the parser calls it `~`.
    fn is_empty(&self, style: ScalarStyle, place: &Place) -> bool {
        style == ScalarStyle::Plain && self.range(place).is_empty()
    }

    /// The `:` or `-` beside a value that is not there, so that its place can be seen.
    fn indicator(&self, span: Span) -> Span {
        let at = span.start();
        match self.text.as_bytes() {
            bytes if bytes.get(at) == Some(&b':') => Span::new(at, at + 1),
            bytes if at > 0 && matches!(bytes[at - 1], b':' | b'-' | b'?') => Span::new(at - 1, at),
            _ => span,
        }
    }

    /// The place of a collection: with brackets up to the closing one, else up to the end of its last part.
    fn span_of(&self, style: StructureStyle, place: &Place, end: &Place, last: Option<Span>) -> Span {
        let start = self.range(place).start;
        let end = match style {
            StructureStyle::Flow => self.range(end).end,
            StructureStyle::Block => last.map_or(start, Span::end),
        };
        Span::new(start, end.max(start))
    }

    fn span(&self, place: &Place) -> Span {
        let range = self.range(place);
        Span::new(range.start, range.end)
    }

    /// A block of lines ends with its last letter, not where the next value begins.
    fn range(&self, place: &Place) -> Range<usize> {
        let range = place.byte_range().unwrap_or_default();
        let written = self.text.get(range.clone()).unwrap_or_default();
        range.start..range.start + written.trim_end().len()
    }
}

fn unexpected(place: Range<usize>) -> Refused {
    Box::new(Diagnostic::new(SYNTAX, place, "a value is expected here"))
}

/// A syntax error in our words.
fn refuse(error: &ScanError, text: &str) -> Refused {
    let at = error.marker().byte_offset().unwrap_or_default().min(text.len());
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(at);
    }
    let message = in_lower_case(error.info());
    let mut diagnostic = Diagnostic::new(SYNTAX, at..ceil_boundary(text, (at + 1).min(text.len())), message);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is the parser's, and most of it needs no hint"
    )]
    let hint = match error.kind() {
        ErrorKind::UnknownAnchor => {
            "an alias names an anchor before it; a text that begins with `*` stands in quotes"
        }
        ErrorKind::TabInBlockIndentation | ErrorKind::TabNotAllowed => "indent with spaces",
        ErrorKind::MappingValueNotAllowed => "a text with `: ` in it stands in quotes",
        ErrorKind::UnexpectedCharacter { .. } => "a text that begins with this character stands in quotes",
        _ => return Box::new(diagnostic),
    };
    diagnostic.hint(hint);
    Box::new(diagnostic)
}
