//! Two tables in CSV: one of hosts, one of VMs.

use std::collections::{BTreeMap, HashMap};

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::placement::Source;
use crate::placement::problem::distance;
use crate::placement::write::quoted;

use super::Imported;
use super::draft::{Draft, DraftRule, Origin, Row};
use super::problem::{ImportError, Problems};

/// Columns of hosts that are no resources.
const HOST_KEYS: [&str; 8] =
    ["name", "takes", "power", "boot_seconds", "shutdown_seconds", "moves_in", "moves_out", "bandwidth"];

/// Columns of VMs that are no resources.
const VM_KEYS: [&str; 10] = [
    "name",
    "host",
    "stays",
    "copy_bytes",
    "copy_hot_bytes",
    "copy_hot_rate",
    "copy_cold_rate",
    "seconds",
    "apart",
    "together",
];

/// A file with its header row; fields are trimmed.
struct Table<'s> {
    file: &'s str,
    which: usize,
    header: StringRecord,
    header_line: usize,
    rows: Vec<(usize, StringRecord)>,
    /// Lines with other numbers of fields than the header, with those numbers.
    ragged: Vec<(usize, usize)>,
}

/// See [`super::csv`].
pub(super) fn import(hosts: Source<'_>, vms: Source<'_>) -> Result<Imported, ImportError> {
    let mut problems = Problems::default();
    let host_table = Table::read(hosts, 0, &mut problems);
    let vm_table = Table::read(vms, 1, &mut problems);
    host_table.need(&["name"], "hosts", &mut problems);
    vm_table.need(&["name", "host"], "VMs", &mut problems);
    let resources: Vec<String> =
        host_table.header.iter().filter(|column| !HOST_KEYS.contains(column)).map(str::to_owned).collect();
    no_slips(&host_table, &vm_table, &resources, &mut problems);
    // Without sound headers the rows say nothing.
    problems.end()?;
    host_table.tell_ragged(&mut problems);
    vm_table.tell_ragged(&mut problems);
    let mut notes = Vec::new();
    for unasked in resources.iter().filter(|name| !vm_table.header.iter().any(|column| column == name.as_str())) {
        notes.push(format!("no VM asks for `{unasked}`: {} has no such column", vms.file));
    }
    let mut draft = Draft { resources, ..Draft::default() };
    let host_names = host_table.names("host", &mut problems);
    draft.hosts = host_table.each_once(&host_names).map(|(line, row)| host_table.host(line, row)).collect();
    let vm_names = vm_table.names("VM", &mut problems);
    let mut groups = Groups::default();
    for (line, row) in vm_table.each_once(&vm_names) {
        let host = vm_table.field(row, "host");
        if !host_names.contains_key(host) {
            let hint = problems.hint(host, host_names.keys().copied());
            let message = match host {
                "" => "the VM's host is missing: name the host that it is on".to_owned(),
                _ => format!("there is no host `{host}`: {hint}list it in {}", hosts.file),
            };
            problems.at(vms.file, line, "column `host`", message);
        }
        draft.vms.push(vm_table.vm(line, row, &mut groups));
    }
    draft.rules = groups.rules();
    draft.finish(&[hosts.file, vms.file], problems, notes)
}

/// Reports columns of VMs that no host has, and columns of hosts that were probably to be a key.
fn no_slips(hosts: &Table<'_>, vms: &Table<'_>, resources: &[String], problems: &mut Problems) {
    if hosts.header.is_empty() || vms.header.is_empty() {
        return;
    }
    for column in vms.header.iter().filter(|column| !VM_KEYS.contains(column) && !column.is_empty()) {
        if !resources.iter().any(|resource| resource == column) {
            let known = resources.iter().map(String::as_str).chain(VM_KEYS);
            let hint = problems.hint(column, known);
            let message = format!("no host has `{column}`: {hint}give {} a column of it", hosts.file);
            problems.at(vms.file, vms.header_line, &format!("column `{column}`"), message);
        }
    }
    for resource in resources.iter().filter(|resource| !vms.header.iter().any(|column| column == resource.as_str())) {
        if let Some(key) = HOST_KEYS.iter().find(|key| distance(resource, key) <= resource.len() / 4) {
            let message = format!(
                "no VM asks for `{resource}`: did you mean `{key}`? Otherwise give {} a column of it, be it empty",
                vms.file
            );
            problems.at(hosts.file, hosts.header_line, &format!("column `{resource}`"), message);
        }
    }
}

impl<'s> Table<'s> {
    fn read(source: Source<'s>, which: usize, problems: &mut Problems) -> Self {
        let Source { file, text } = source;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        // Spreadsheets of some countries write semicolons, copied cells come with tabs.
        let separator = [',', ';', '\t'].into_iter().find(|one| first.contains(*one)).unwrap_or(',');
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .delimiter(separator as u8)
            .from_reader(text.as_bytes());
        let mut table =
            Table { file, which, header: StringRecord::new(), header_line: 1, rows: Vec::new(), ragged: Vec::new() };
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(1, |position| position.line() as usize);
                    problems.at(file, line, "", format!("this is no CSV: {error}"));
                    break;
                }
            };
            // The position of a record is where the one before it ended: before the empty lines between them.
            let start = record.position().map_or(0, |position| position.byte() as usize).min(text.len());
            let skipped = text[start..].len() - text[start..].trim_start_matches(['\n', '\r']).len();
            let line = text[..start + skipped].matches('\n').count() + 1;
            table.add(line, record, problems);
        }
        if table.header.is_empty() {
            problems.at(file, 1, "", "the file is empty: begin with a header row, e.g. name,memory,cpu");
        }
        table
    }

    fn add(&mut self, line: usize, record: StringRecord, problems: &mut Problems) {
        if self.header.is_empty() {
            for (i, column) in record.iter().enumerate() {
                let place = format!("column {}", i + 1);
                if column.is_empty() {
                    problems.at(self.file, line, &place, "this column has no name: give it one, or leave it out");
                } else if record.iter().take(i).any(|other| other == column) {
                    problems.at(
                        self.file,
                        line,
                        &place,
                        format!("`{column}` is there already: names of columns are unique"),
                    );
                }
            }
            (self.header, self.header_line) = (record, line);
        } else if record.len() == self.header.len() {
            self.rows.push((line, record));
        } else if record.iter().any(|field| !field.is_empty()) {
            self.ragged.push((line, record.len()));
        }
    }

    fn tell_ragged(&self, problems: &mut Problems) {
        let columns = self.header.len();
        let remedy = "give each column a field, be it empty; put a field with the separator in it in quotation marks";
        for (line, fields) in &self.ragged {
            let message =
                format!("this line has a field too few or too many ({fields}, the header has {columns}): {remedy}");
            problems.at(self.file, *line, "", message);
        }
    }

    fn need(&self, columns: &[&str], whose: &str, problems: &mut Problems) {
        if self.header.is_empty() {
            return;
        }
        for column in columns {
            if !self.header.iter().any(|one| one == *column) {
                let message = format!("there is no column `{column}`: a table of {whose} needs one");
                problems.at(self.file, self.header_line, "", message);
            }
        }
    }

    fn field<'r>(&self, row: &'r StringRecord, column: &str) -> &'r str {
        self.header.iter().position(|one| one == column).and_then(|at| row.get(at)).unwrap_or_default()
    }

    /// The names with the lines where they first stand; missing ones and those that are there twice are reported.
    fn names(&self, what: &str, problems: &mut Problems) -> HashMap<&str, usize> {
        let mut names = HashMap::new();
        for (line, row) in &self.rows {
            let name = self.field(row, "name");
            if name.is_empty() {
                problems.at(self.file, *line, "column `name`", format!("the {what}'s name is missing: give it one"));
                continue;
            }
            let first = *names.entry(name).or_insert(*line);
            if first != *line {
                let message = format!("{what} `{name}` is there already, at line {first}: names are unique");
                problems.at(self.file, *line, "column `name`", message);
            }
        }
        names
    }

    /// The rows with names that do not stand before them.
    fn each_once<'r>(&'r self, names: &HashMap<&str, usize>) -> impl Iterator<Item = (usize, &'r StringRecord)> {
        let first = |line: usize, row: &StringRecord| names.get(self.field(row, "name")) == Some(&line);
        self.rows.iter().map(|(line, row)| (*line, row)).filter(move |(line, row)| first(*line, row))
    }

    fn host(&self, line: usize, row: &StringRecord) -> Row {
        let mut host = Row::new(self.origin(line, ""));
        for (column, field, origin) in self.fields(line, row) {
            match column {
                "name" => host.key(column, quoted(field), origin),
                "takes" => host.key(column, yes_or_no(field), origin),
                "power" => host.key(column, quoted(&field.to_lowercase()), origin),
                _ if HOST_KEYS.contains(&column) => host.key(column, number(field), origin),
                _ => host.amount(column, number(field), origin),
            }
        }
        host
    }

    fn vm(&self, line: usize, row: &StringRecord, groups: &mut Groups) -> Row {
        let mut vm = Row::new(self.origin(line, ""));
        let name = self.field(row, "name");
        for (column, field, origin) in self.fields(line, row) {
            match column {
                "name" | "host" => vm.key(column, quoted(field), origin),
                "stays" => vm.key(column, yes_or_no(field), origin),
                "apart" => field.split_whitespace().for_each(|group| groups.add("apart", group, name)),
                "together" => groups.add("together", field, name),
                "seconds" => vm.copy(column, number(field), origin),
                _ => match column.strip_prefix("copy_").filter(|_| VM_KEYS.contains(&column)) {
                    Some(key) => vm.copy(key, number(field), origin),
                    None => vm.amount(column, number(field), origin),
                },
            }
        }
        vm
    }

    /// The fields that say something, with their columns.
    fn fields<'r>(&'r self, line: usize, row: &'r StringRecord) -> impl Iterator<Item = (&'r str, &'r str, Origin)> {
        let said = self.header.iter().zip(row).filter(|(_, field)| !field.is_empty());
        said.map(move |(column, field)| (column, field, self.origin(line, column)))
    }

    fn origin(&self, line: usize, column: &str) -> Origin {
        let place = if column.is_empty() { String::new() } else { format!("column `{column}`") };
        Origin { file: self.which, line, place }
    }
}

/// As JSON; what is neither stays a text, which the reader of placements refuses with its place.
fn yes_or_no(field: &str) -> String {
    match field.to_lowercase().as_str() {
        "true" | "yes" | "1" => "true".to_owned(),
        "false" | "no" | "0" => "false".to_owned(),
        _ => quoted(field),
    }
}

/// A number as JSON if it is one, else a text: an amount with its unit.
fn number(field: &str) -> String {
    let (sign, digits) = field.strip_prefix('-').map_or(("", field), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let all = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all(whole) || fraction.is_some_and(|rest| !all(rest)) {
        return quoted(field);
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    fraction.map_or(format!("{sign}{whole}"), |rest| format!("{sign}{whole}.{rest}"))
}

/// The VMs of each group, by kind of rule and the group's name.
#[derive(Default)]
struct Groups(BTreeMap<(&'static str, String), Vec<String>>);

impl Groups {
    fn add(&mut self, kind: &'static str, group: &str, vm: &str) {
        let vms = self.0.entry((kind, group.to_owned())).or_default();
        if vms.last().is_none_or(|last| last != vm) {
            vms.push(vm.to_owned());
        }
    }

    /// A rule for each group of two or more.
    fn rules(self) -> Vec<DraftRule> {
        let groups = self.0.into_iter().filter(|(_, vms)| vms.len() > 1);
        groups
            .map(|((kind, group), vms)| DraftRule { name: format!("{kind}: {group}"), kind, vms, hosts: Vec::new() })
            .collect()
    }
}
