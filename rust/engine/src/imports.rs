//! What a component wants of its node, against what there is: every missing name, in one answer.

use crate::engine::{HYPERWARE, KINODE};
use thole_process::Process;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

/// Which WASI 0.2 this node has doesn't matter to a component of another 0.2.
const WASI_PATCHES: std::ops::Range<u32> = 0..64;

/// The names that `component` imports and `linker` lacks: `interface#function`, the bare interface
/// when nothing of it is there, or the name of a function of the world.
pub fn missing(linker: &Linker<Process>, component: &Component) -> Vec<String> {
    let mut names = Vec::new();
    for (name, item) in component.component_type().imports(linker.engine()) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            names.push(name.to_owned());
            continue;
        };
        let mut probe = linker.clone();
        let mut lacking = Vec::new();
        let mut n_present = 0;
        for (member, item) in instance.exports(linker.engine()) {
            match is_provided(&mut probe, name, member, &item.ty) {
                Some(true) => n_present += 1,
                Some(false) => lacking.push(format!("{name}#{member}")),
                None => (),
            }
        }
        if n_present == 0 && !lacking.is_empty() && !is_ours(name) {
            names.push(name.to_owned());
        } else {
            names.append(&mut lacking);
        }
    }
    names
}

/// Our own interface is never missing as a whole, however few of its names are right.
fn is_ours(interface: &str) -> bool {
    interface == KINODE || interface == HYPERWARE
}

/// A linker can't be asked what it has, but it refuses to define a name twice. Asking once defines
/// it, so `probe` serves one interface. None: a type, which nobody has to provide.
fn is_provided(
    probe: &mut Linker<Process>,
    interface: &str,
    member: &str,
    item: &ComponentItem,
) -> Option<bool> {
    let is_refused = |probe: &mut Linker<Process>, interface: &str| {
        let Ok(mut instance) = probe.instance(interface) else {
            return true;
        };
        let defined = match item {
            ComponentItem::ComponentFunc(_) => instance.func_new(member, |_, _, _, _| Ok(())),
            ComponentItem::Resource(_) => {
                instance.resource(member, ResourceType::host::<()>(), |_, _| Ok(()))
            }
            _ => return false,
        };
        defined.is_err()
    };
    match item {
        ComponentItem::ComponentFunc(_) | ComponentItem::Resource(_) => (),
        _ => return None,
    }
    let names: Vec<String> = match interface.split_once("@0.2.") {
        Some((base, _)) => WASI_PATCHES.map(|patch| format!("{base}@0.2.{patch}")).collect(),
        None => vec![interface.to_owned()],
    };
    Some(names.iter().any(|name| is_refused(probe, name)))
}
