//! Documents become objects; everything that is wrong with any of them is noted, with file, line, path, value and what
//! is allowed.

use super::form::Context;
use super::kind::{API_VERSION, Field, Kind, SOURCE_NAMES, Settings};
use super::rules::missing;
use super::tree::{self, Entry, Tree};
use crate::config::hint;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Something declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) id: ObjectId,
    pub(crate) settings: Settings,
    /// Where it is declared.
    pub(crate) place: Place,
    /// The line of each setting.
    pub(crate) lines: BTreeMap<String, usize>,
}

/// What names an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl ObjectId {
    /// `namespaces/{namespace}/{collection}/{name}`.
    pub(crate) fn resource(&self) -> String {
        format!(
            "namespaces/{}/{}/{}",
            self.namespace,
            self.kind.collection(),
            self.name
        )
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.name)
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    /// From 1; 0 if that is not known.
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) place: Place,
    /// Of which object, if that is known.
    pub(crate) object: Option<ObjectId>,
    pub(crate) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl Object {
    /// Something wrong with a setting.
    pub(crate) fn problem(&self, path: &str, text: impl Into<String>) -> Problem {
        Problem {
            place: Place {
                file: self.place.file.clone(),
                line: self.line_of(path),
            },
            object: Some(self.id.clone()),
            text: text.into(),
        }
    }

    /// The line of a setting, or of the nearest thing around it.
    fn line_of(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rsplit_once('.') {
                Some((around, _)) => path = around,
                None => return self.place.line,
            }
        }
    }
}

/// A text with documents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// What the text is called.
    pub(crate) file: &'a str,
    /// What relative directories in it count from.
    pub(crate) base: &'a Path,
    pub(crate) text: &'a str,
    /// The namespace of objects that do not name theirs.
    pub(crate) namespace: &'a str,
}

/// The objects of a text. Objects with problems are left out.
pub(crate) fn read(source: Source<'_>, problems: &mut Vec<Problem>) -> Vec<Object> {
    let documents = match tree::read(source.text) {
        Ok(documents) => documents,
        Err(e) => {
            problems.push(Problem {
                place: source.place(e.line),
                object: None,
                text: e.why,
            });
            return Vec::new();
        }
    };
    let mut objects = Vec::new();
    for (line, document) in &documents {
        items(source, *line, document, problems, &mut objects);
    }
    objects
}

impl Source<'_> {
    fn place(&self, line: usize) -> Place {
        Place {
            file: self.file.to_owned(),
            line,
        }
    }
}

/// The object of a document, or those of a list.
fn items(
    source: Source<'_>,
    line: usize,
    document: &Tree,
    problems: &mut Vec<Problem>,
    objects: &mut Vec<Object>,
) {
    let list = document.get("kind") == Some(&Tree::text("List"));
    match (list, document.get("items")) {
        (true, Some(Tree::List(found))) => {
            let mut reader = DocumentReader::new(source, line, problems);
            reader.version(document);
            reader.only(document, "", &["apiVersion", "kind", "items"]);
            for item in found {
                let line = first_line(item).unwrap_or(line);
                objects.extend(DocumentReader::new(source, line, problems).object(item));
            }
        }
        _ => objects.extend(DocumentReader::new(source, line, problems).object(document)),
    }
}

fn first_line(tree: &Tree) -> Option<usize> {
    match tree {
        Tree::Map(entries) => entries.first().map(|e| e.line),
        _ => None,
    }
}

/// Reads one document.
struct DocumentReader<'a> {
    source: Source<'a>,
    line: usize,
    id: Option<ObjectId>,
    problems: &'a mut Vec<Problem>,
    sound: bool,
    settings: Settings,
    lines: BTreeMap<String, usize>,
}

impl<'a> DocumentReader<'a> {
    fn new(source: Source<'a>, line: usize, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            source,
            line,
            id: None,
            problems,
            sound: true,
            settings: Settings::new(),
            lines: BTreeMap::new(),
        }
    }

    fn problem(&mut self, line: usize, text: String) {
        self.sound = false;
        self.problems.push(Problem {
            place: self.source.place(line),
            object: self.id.clone(),
            text,
        });
    }

    fn object(mut self, document: &Tree) -> Option<Object> {
        if !matches!(document, Tree::Map(_)) {
            let text = format!(
                "'{}' is no object: apiVersion, kind, metadata and spec are wanted",
                document.shown()
            );
            self.problem(self.line, text);
            return None;
        }
        let kind = self.kind(document);
        self.version(document);
        self.only(
            document,
            "",
            &["apiVersion", "kind", "metadata", "spec", "status"],
        );
        let id = self.metadata(kind, document);
        self.id = id.clone();
        match (kind, document.get("spec")) {
            (Some(kind), Some(spec @ Tree::Map(_))) => self.spec(kind, spec),
            (_, None | Some(Tree::Null | Tree::Map(_))) => {}
            (_, Some(other)) => {
                let text = format!("spec '{}' is not valid: a map of settings", other.shown());
                self.problem(line_of(document, "spec", self.line), text);
            }
        }
        if let Some(kind) = kind {
            self.complete(kind);
        }
        let place = self.source.place(self.line);
        Some(Object {
            id: id.filter(|_| self.sound)?,
            settings: self.settings,
            place,
            lines: self.lines,
        })
    }

    fn version(&mut self, document: &Tree) {
        let text = match document.get("apiVersion") {
            Some(Tree::Text(version)) if version == API_VERSION => return,
            Some(other) => format!("apiVersion '{}' is not valid: {API_VERSION}", other.shown()),
            None => format!("apiVersion is required: {API_VERSION}"),
        };
        self.problem(line_of(document, "apiVersion", self.line), text);
    }

    fn kind(&mut self, document: &Tree) -> Option<Kind> {
        let names = Kind::ALL.map(Kind::name);
        let allowed = names.join(", ");
        let text = match document.get("kind") {
            Some(Tree::Text(text)) => match Kind::ALL.into_iter().find(|k| k.name() == text) {
                Some(kind) => return Some(kind),
                None => format!("kind '{text}' is not valid: {allowed}{}", hint(text, names)),
            },
            Some(other) => format!("kind '{}' is not valid: {allowed}", other.shown()),
            None => format!("kind is required: {allowed}"),
        };
        self.problem(line_of(document, "kind", self.line), text);
        None
    }

    /// Refuses entries that `tree` may not have.
    fn only(&mut self, tree: &Tree, path: &str, known: &[&str]) {
        let Tree::Map(entries) = tree else { return };
        for entry in entries.iter().filter(|e| !known.contains(&e.key.as_str())) {
            self.unknown(path, entry, known);
        }
    }

    fn unknown(&mut self, path: &str, entry: &Entry, known: &[&str]) {
        let at = join(path, &entry.key);
        let value = entry.value.shown();
        let text = format!(
            "there is no {at} (it has the value '{value}'): allowed {} {}{}",
            if known.len() == 1 { "is" } else { "are" },
            known.join(", "),
            hint(&snake(&entry.key), known.iter().copied())
        );
        self.problem(entry.line, text);
    }

    fn metadata(&mut self, kind: Option<Kind>, document: &Tree) -> Option<ObjectId> {
        let at = line_of(document, "metadata", self.line);
        let metadata = match document.get("metadata") {
            Some(metadata @ Tree::Map(_)) => metadata,
            _ => {
                self.problem(
                    at,
                    "metadata.name is required: what the object is called".to_owned(),
                );
                return None;
            }
        };
        self.only(metadata, "metadata", &["name", "namespace"]);
        let mut text_of = |key: &str| match metadata.get(key) {
            Some(Tree::Text(text)) if !text.is_empty() && !text.contains('/') => Some(text.clone()),
            None if key == "namespace" => Some(self.source.namespace.to_owned()),
            other => {
                let allowed = "a name; one that looks like a number in quotes";
                let text = match other {
                    Some(value) => format!("metadata.{key} '{}' is not valid: {allowed}", value.shown()),
                    None => format!("metadata.{key} is required: what the object is called"),
                };
                self.problem(line_of(metadata, key, at), text);
                None
            }
        };
        let (name, namespace) = (text_of("name"), text_of("namespace"));
        Some(ObjectId {
            kind: kind?,
            namespace: namespace?,
            name: name?,
        })
    }

    fn spec(&mut self, kind: Kind, spec: &Tree) {
        let mut spec = spec.clone();
        if kind == Kind::Mapping {
            self.source_by_name(&mut spec);
        }
        self.level(kind, &spec, "");
    }

    /// `stream: orders` is short for the ARN of that stream.
    fn source_by_name(&mut self, spec: &mut Tree) {
        let Tree::Map(entries) = spec else { return };
        let named: Vec<usize> = (0..entries.len())
            .filter(|i| entries.get(*i).is_some_and(|e| source_kind(&e.key).is_some()))
            .collect();
        let given = named.len() + usize::from(entries.iter().any(|e| e.key == "source_arn"));
        for i in named {
            let Some(entry) = entries.get_mut(i) else { continue };
            let (Some(kind), line) = (source_kind(&entry.key), entry.line) else {
                continue;
            };
            let key = std::mem::replace(&mut entry.key, "source_arn".to_owned());
            match &entry.value {
                _ if given > 1 => {
                    self.problem(
                        line,
                        format!("spec.{key} is one source too many: one of source_arn, stream and queue is allowed"),
                    );
                }
                Tree::Text(name) if !name.is_empty() && !name.contains(['/', ':']) => {
                    entry.value = Tree::Text(kind.arn(name));
                }
                other => {
                    let allowed = format!("the name of a {}; an ARN goes to source_arn", kind.word());
                    let text = format!("spec.{key} '{}' is not valid: {allowed}", other.shown());
                    self.problem(line, text);
                    entry.value = Tree::Text(kind.arn("x"));
                }
            }
        }
    }

    /// Reads the settings below `prefix`.
    fn level(&mut self, kind: Kind, tree: &Tree, prefix: &str) {
        let Tree::Map(entries) = tree else { return };
        for entry in entries {
            let path = join(prefix, &entry.key);
            let deeper = kind
                .fields()
                .iter()
                .any(|f| f.path.strip_prefix(&path).is_some_and(|r| r.starts_with('.')));
            match (kind.field(&path), &entry.value) {
                (Some(field), value) => self.setting(field, value, entry.line),
                (None, map @ Tree::Map(_)) if deeper => {
                    self.lines.insert(path.clone(), entry.line);
                    self.level(kind, map, &path);
                }
                (None, value) if deeper => {
                    let known = names_below(kind, &path).join(", ");
                    let text = format!("spec.{path} '{}' is not valid: a map of {known}", value.shown());
                    self.problem(entry.line, text);
                }
                _ => {
                    let mut known = names_below(kind, prefix);
                    if kind == Kind::Mapping && prefix.is_empty() {
                        known.extend(SOURCE_NAMES.map(|(name, _)| name));
                    }
                    self.unknown(&join("spec", prefix), entry, &known);
                }
            }
        }
    }

    fn setting(&mut self, field: &'static Field, value: &Tree, line: usize) {
        let namespace = self.id.as_ref().map_or(self.source.namespace, |id| &id.namespace);
        let context = Context {
            namespace,
            base: self.source.base,
        };
        if let Some(value) = field.form.read(value, context) {
            self.lines.insert(field.path.to_owned(), line);
            self.settings.insert(field.path, value);
            return;
        }
        let (path, allowed) = (field.path, field.form.allowed());
        let text = match value {
            Tree::Null => format!("spec.{path} has no value: {allowed}; or leave the line out"),
            // May be a secret.
            Tree::Map(_) => format!("spec.{path} is not valid: {allowed}"),
            value => format!("spec.{path} '{}' is not valid: {allowed}", value.shown()),
        };
        self.problem(line, text);
    }

    /// What must be there and is not; what could not be read is not missing.
    fn complete(&mut self, kind: Kind) {
        if self.sound {
            for text in missing(kind, &self.settings) {
                self.problem(self.line, text.to_owned());
            }
        }
    }
}

fn source_kind(key: &str) -> Option<Kind> {
    SOURCE_NAMES
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, kind)| *kind)
}

/// The names that may stand directly below `prefix`.
fn names_below(kind: Kind, prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for field in kind.fields() {
        let rest = match prefix {
            "" => Some(field.path),
            prefix => field.path.strip_prefix(prefix).and_then(|r| r.strip_prefix('.')),
        };
        let name = rest.and_then(|r| r.split('.').next());
        names.extend(name.filter(|n| !names.contains(n)));
    }
    names
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else if key.is_empty() {
        prefix.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

/// `batchSize` as `batch_size`, so that whoever is used to that way finds the name.
fn snake(key: &str) -> String {
    let mut snake = String::new();
    for c in key.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

fn line_of(tree: &Tree, key: &str, otherwise: usize) -> usize {
    let Tree::Map(entries) = tree else {
        return otherwise;
    };
    entries
        .iter()
        .find(|e| e.key == key)
        .map_or(otherwise, |e| e.line)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
