// Filters of the claims' page; the choice lives in the address.
const filters = document.querySelector("form.filters");
if (filters) {
  const all = [...document.querySelectorAll("article.claim")], said = filters.querySelector("output");
  const apply = () => {
    const chosen = Object.fromEntries([...new FormData(filters)].filter(([, value]) => value));
    for (const claim of all) claim.hidden = !Object.entries(chosen).every(([name, value]) => claim.dataset[name] === value);
    for (const part of document.querySelectorAll("section.claims")) part.hidden = !part.querySelector("article:not([hidden])");
    const shown = all.filter((claim) => !claim.hidden), count = (v) => shown.filter((c) => c.dataset.verdict === v).length;
    said.textContent = `${shown.length} of ${all.length}: ${count("agrees")} agree, ${count("differs")} differ, ${count("undecided")} undecided`;
    history.replaceState(null, "", (Object.keys(chosen).length ? "?" + new URLSearchParams(chosen) : location.pathname) + location.hash);
  };
  for (const [name, value] of new URLSearchParams(location.search)) if (filters.elements[name]) filters.elements[name].value = value;
  filters.addEventListener("change", apply);
  apply();
}
