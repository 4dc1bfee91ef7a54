// The bound and the schedules of the library, in the browser; the numbers are those of `lastiterate` to rounding.
// A schedule is a Float64Array of T rates, peak 1; steps are numbered from 1, arrays from 0.
const theory = (() => {
  const floor = (x) => Math.floor(x + 1e-9);  // as the library's: 0.29 · 100 is 29
  const make = (T, f) => { const made = new Float64Array(T); for (let t = 1; t <= T; t++) made[t - 1] = f(t); return made; };
  const families = {
    constant: (T) => make(T, () => 1),
    linear: (T) => make(T, (t) => (T + 1 - t) / T),
    cosine: (T) => make(T, (t) => Math.sin(0.5 * Math.PI * (T + 1 - t) / T) ** 2),
    wsd: (T) => make(T, () => 1),
    "wsd 1-sqrt": (T) => make(T, () => 1),
    inverse_sqrt: (T) => make(T, (t) => Math.sqrt(1 / t)),
    exponential: (T) => make(T, (t) => 0.01 ** ((t - 1) / T)),
  };
  const cooldownSteps = (T, c) => Math.min(floor(c * (T + 1)), T);

  // η of a state: a family, its last steps brought down, its first steps a linear ramp.
  function schedule({ family, T, cooldown, warmup }) {
    const eta = families[family](T), n = cooldownSteps(T, cooldown), root = family === "wsd 1-sqrt";
    for (let k = 0; k < n; k++) {
      const r = (n - k) / n;
      eta[T - n + k] *= root ? r / (1 + Math.sqrt(1 - r)) : r;
    }
    for (let t = 1; t <= warmup; t++) eta[t - 1] *= t / warmup;
    return eta;
  }

  const norms = (T, alpha) => make(T, (t) => (alpha === 0 ? 1 : t ** alpha));

  // [T1, T2] at step t: Ω_t(γ) = T1/γ + γ T2. Tail sums are added up from the end, so that nothing cancels.
  function terms(eta, G, t = eta.length) {
    let tail = eta[t - 1], sum = tail * G[t - 1] * G[t - 1];
    for (let k = t - 2; k >= 0; k--) {
      const step = eta[k] * G[k];
      sum += step * step / tail;
      tail += eta[k];
    }
    return [0.5 / tail, 0.5 * sum];
  }
  const omega = ([t1, t2], gamma) => t1 / gamma + gamma * t2;
  const best = ([t1, t2]) => ({ gamma: Math.sqrt(t1 / t2), omega: 2 * Math.sqrt(t1 * t2) });

  // The lowest Ω_T of all schedules, D √P_1 by the recursion of `design.optimal`, and that schedule with its rate.
  function optimal(G) {
    const T = G.length, u = new Float64Array(T), rates = new Float64Array(T);
    let P = G[T - 1] ** 2;
    for (let k = T - 2; k >= 0; k--) {
      const g = G[k] ** 2;
      P = 2 * P / (1 + Math.sqrt(1 + P / g));
      u[k] = P / (2 * g);
    }
    let A = 1 / Math.sqrt(P);
    for (let k = 0; k < T - 1; k++) { const next = A / (1 + u[k]); rates[k] = u[k] * next; A = next; }
    rates[T - 1] = A;
    return { omega: Math.sqrt(P), rates };
  }

  // Steps at which Ω_t is drawn: all of a short run, else evenly spaced ones and more towards both ends.
  function horizons(T, many = 200) {
    const at = new Set([1, T]);
    for (let i = 1; i <= many; i++) at.add(Math.max(1, Math.round(i * T / many)));
    for (let x = 1; x < T / many; x *= 1.6) { at.add(Math.round(x)); at.add(T + 1 - Math.round(x)); }
    return [...at].sort((a, b) => a - b);
  }

  function root(f, low, high) {  // of a function that rises, by bisection to the last digits
    for (let i = 0; i < 200 && high - low > 1e-15 * high; i++) {
      const middle = 0.5 * (low + high);
      if (f(middle) < 0) low = middle; else high = middle;
    }
    return 0.5 * (low + high);
  }

  // ρ of `transfer.extend_rate` and c' of `transfer.extend_cooldown`; NaN where there is none.
  function extend(T1, T2, cooldown, alpha) {
    const wsd = (T, c) => schedule({ family: "wsd", T, cooldown: c, warmup: 0 });
    const G = norms(T2, alpha), tuned = best(terms(wsd(T1, cooldown), G)).gamma, whole = wsd(T2, cooldown);
    const stop = floor((1 - cooldown) * T1);
    // 1/γ*² = (P + z)(bz + Σ G_k²/(P_k + z)), z = ρA, of `continuation.rate`, convex in z: the larger of two roots.
    let total = whole[T2 - 1], noise = total * G[T2 - 1] ** 2;
    for (let k = T2 - 2; k >= stop; k--) { noise += (whole[k] * G[k]) ** 2 / total; total += whole[k]; }
    const b = noise / total;
    const excess = (rho) => {
      let after = rho * total, sum = 0;
      for (let k = stop - 1; k >= 0; k--) { sum += G[k] * G[k] / after; after += 1; }
      return tuned ** 2 * after * (b * rho * total + sum) - 1;
    };
    const slope = (rho) => {
      let after = rho * total, sum = 0;
      for (let k = stop - 1; k >= 0; k--) { sum += G[k] * G[k] * (k + 1) / (after * after); after += 1; }
      return b * (stop + 2 * rho * total) - sum;
    };
    let rho = 1;
    if (excess(1) > 0) {
      const lowest = slope(1) > 0 ? root(slope, 1e-12, 1) : 1;
      rho = excess(lowest) > 0 ? NaN : root(excess, lowest, 1);
    }
    const gap = (n) => Math.log(best(terms(wsd(T2, n / (T2 + 1)), G)).gamma / tuned);
    let low = floor(cooldown * (T2 + 1)), high = T2, fraction = NaN;
    if (T2 === T1 || gap(low) >= 0) fraction = cooldown;
    else if (gap(high) >= 0) {
      while (high - low > 1) { const m = (low + high) >> 1; if (gap(m) < 0) low = m; else high = m; }
      const below = gap(low), above = gap(high);
      fraction = Math.max(cooldown, (low - below / (above - below)) / (T2 + 1));
    }
    return { rho, fraction, tuned, switch: stop };
  }

  // The plans of `transfer.extension_plans` as schedules.
  function plans(T1, T2, cooldown, alpha) {
    const found = extend(T1, T2, cooldown, alpha), same = schedule({ family: "wsd", T: T2, cooldown, warmup: 0 }), made = {};
    if (!Number.isNaN(found.rho)) made["lower rate"] = same.map((x, i) => (i < found.switch ? 1 : found.rho * x));
    if (!Number.isNaN(found.fraction)) made["longer cooldown"] = schedule({ family: "wsd", T: T2, cooldown: found.fraction, warmup: 0 });
    made["same rate and cooldown"] = same;
    return { ...found, plans: made };
  }

  // The state as a schedule's spec, and as code.
  function spec({ family, cooldown, warmup }) {
    const words = [];
    if (family.startsWith("wsd")) words.push(`cooldown=${cooldown}`);
    else if (cooldown > 0) words.push(`cooldown=${cooldown}`);
    if (family === "wsd 1-sqrt") words.push("shape=1-sqrt");
    if (warmup > 0) words.push(`warmup=${warmup}`);
    return family.split(" ")[0] + (words.length ? ":" + words.join(",") : "");
  }
  function code(state, kind, gamma) {
    const text = spec(state), G = state.alpha === 0 ? "" : `, G=np.arange(1.0, ${state.T} + 1) ** ${state.alpha}`;
    if (kind === "spec") return text;
    if (kind === "command") return `lastiterate bound ${text} --steps ${state.T} --lr ${gamma.toPrecision(6)}`;
    const numpy = G ? "import numpy as np\n" : "";
    if (kind === "python") return `${numpy}from lastiterate import bounds, schedules\neta = schedules.named("${text}", ${state.T})\n` +
      `lr, bound = bounds.optimal_lr(eta${G})\nbounds.omega(${gamma.toPrecision(6)} * eta${G}, horizons=${state.T})`;
    return `from lastiterate import schedules\neta = schedules.named("${text}", ${state.T})\n` +
      "scheduler = schedules.to_torch(optimizer, eta)   # the optimizer's lr is the base rate\n# each step: optimizer.step(); scheduler.step()";
  }
  return { schedule, norms, terms, omega, best, optimal, horizons, extend, plans, spec, code };
})();
