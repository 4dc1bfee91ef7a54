// What a moved slider does. Bokeh hands in: theory (its text), sources, widgets, marks, page (whether the address is this page's).
const began = performance.now();
const W = widgets, T = Math.round(10 ** W.steps.value), steps = Number(T.toPrecision(3));
const family = W.family.value, state = {
  family, T: steps, cooldown: W.cooldown.value, warmup: Math.min(steps, Math.round(W.warmup.value * steps)), alpha: W.alpha.value,
};
const eta = theory.schedule(state), G = theory.norms(state.T, state.alpha), pair = theory.terms(eta, G);
const star = theory.best(pair), gamma = star.gamma * 2 ** W.rate.value, lowest = theory.optimal(G);

const at = theory.horizons(state.T), shown = { x: at, eta: at.map((t) => gamma * eta[t - 1]), omega: [] };
for (const t of at) shown.omega.push(theory.omega(theory.terms(eta, G, t), gamma));
sources.now.data = shown;
const grid = Array.from({ length: 81 }, (_, i) => 2 ** (-3 + i * 6 / 80));
sources.sweep.data = { x: grid, y: grid.map((g) => theory.omega(pair, g * star.gamma)) };
sources.marks.data = { x: [1, gamma / star.gamma], y: [star.omega, theory.omega(pair, gamma)], kind: ["circle", "square"] };
marks.lowest.location = lowest.omega;
marks.lowest_end.location = lowest.omega;
sources.optimal.data = { x: at, y: at.map((t) => lowest.rates[t - 1]) };

// Going on: from the steps of this run to so many times as many, for wsd.
const factor = W.longer.value;
let going = "";
if (factor > 1 && family === "wsd" && state.cooldown < 1) {
  const T2 = Math.round(factor * state.T), found = theory.plans(state.T, T2, state.cooldown, state.alpha);
  const far = theory.horizons(T2), norms = theory.norms(T2, state.alpha), best = theory.optimal(norms).omega;
  const names = Object.keys(found.plans), data = { xs: [], ys: [], name: names, color: [] };
  for (const name of names) {
    data.xs.push(far);
    data.ys.push(far.map((t) => found.tuned * found.plans[name][t - 1]));
    data.color.push(remedies[name] ?? remedies["same rate"]);
    const end = theory.omega(theory.terms(found.plans[name], norms), found.tuned);
    const how = { "lower rate": `rate × ${found.rho.toFixed(3)} after step ${found.switch.toLocaleString("en")}`,
      "longer cooldown": `cooldown ${found.fraction.toFixed(3)} of the longer run` }[name] ?? "as it was";
    going += `<tr><td style="color:${data.color.at(-1)}">▬</td><td>${name}</td><td>${how}</td><td>${(end / best).toFixed(3)}</td></tr>`;
  }
  sources.plans.data = data;
  going = `<table><tr><th></th><th>to ${T2.toLocaleString("en")} steps, without warmup</th><th></th><th>Ω over the lowest</th></tr>${going}</table>`;
} else {
  if (sources.plans.data.xs.length) sources.plans.data = { xs: [], ys: [], name: [], color: [] };  // else it paints for nothing
  if (factor > 1) going = "<p>Plans are for wsd with a linear cooldown below 1.</p>";
}

const digits = (x) => Number(x.toPrecision(5)).toString();
W.numbers.text = `<dl><dt>schedule</dt><dd>${theory.spec(state)}, ${state.T.toLocaleString("en")} steps</dd>` +
  `<dt>best rate γ*</dt><dd>${digits(star.gamma)}</dd><dt>Ω there</dt><dd>${digits(star.omega)}</dd>` +
  `<dt>Ω at your rate, ${digits(gamma)}</dt><dd>${digits(theory.omega(pair, gamma))}</dd>` +
  `<dt>lowest of all schedules (dashed)</dt><dd>${digits(lowest.omega)}: yours is ${(theory.omega(pair, gamma) / lowest.omega).toFixed(3)} times that</dd></dl>`;
W.plans.text = going;
going_on.visible = sources.plans.data.xs.length > 0;

const copied = { family, T: state.T, cooldown: state.cooldown, warmup: W.warmup.value, rate: W.rate.value, alpha: state.alpha, longer: factor };
if (page) history.replaceState(null, "", "#" + new URLSearchParams(copied));
globalThis.lastiterate_explorer = {
  state, gamma, star, terms: pair, omega: theory.omega(pair, gamma), lowest: lowest.omega, at, omegas: shown.omega, theory,
  code: (kind) => theory.code(state, kind, gamma), milliseconds: performance.now() - began,
};
