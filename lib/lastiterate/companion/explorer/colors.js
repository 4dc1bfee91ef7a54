// Axes and titles have the colour of the page's text, and curves are lighter on a dark page, also after a change of theme.
const inked = ["axis_label_text_color", "major_label_text_color", "axis_line_color", "major_tick_line_color"];
const paint = () => {
  const ink = getComputedStyle(document.body).color;
  const dark = ink.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) > 384;
  for (const [curve, light] of curves) curve.line_color = dark ? darker[light] : light;
  for (const part of colored) {
    if (part.text_color !== undefined) part.text_color = ink;
    else for (const name of inked) part[name] = ink;
  }
};
new MutationObserver(paint).observe(document.body, {attributes: true, attributeFilter: ["data-theme", "class", "data-jp-theme-light"]});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
paint();
