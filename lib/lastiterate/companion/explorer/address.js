// The state that the address holds, where it is one.
const given = new URLSearchParams(location.hash.slice(1)), near = (name, apply) => {
  if (given.has(name) && given.get(name) !== "" && Number.isFinite(Number(given.get(name)))) apply(Number(given.get(name)));
};
const within = (widget) => (x) => { widget.value = Math.min(widget.end, Math.max(widget.start, x)); };
if (widgets.family.options.includes(given.get("family")) && given.get("family") !== widgets.family.value) {
  widgets.family.tags = given.has("cooldown") ? ["given"] : [];  // its cooldown stays
  widgets.family.value = given.get("family");
}
near("T", (x) => { if (x >= 1) within(widgets.steps)(Math.log10(x)); });
for (const name of ["cooldown", "warmup", "rate", "alpha", "longer"]) near(name, within(widgets[name]));
