// Axes and titles have the colour of the page's text, also after a change of theme.
const inked = ["axis_label_text_color", "major_label_text_color", "axis_line_color", "major_tick_line_color"];
const paint = () => {
  const ink = getComputedStyle(document.body).color;
  for (const part of colored) {
    if (part.text_color !== undefined) part.text_color = ink;
    else for (const name of inked) part[name] = ink;
  }
};
new MutationObserver(paint).observe(document.body, {attributes: true, attributeFilter: ["data-theme", "class", "data-jp-theme-light"]});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
paint();
