const specs = JSON.parse(document.getElementById("specs").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

function look() {
  const style = getComputedStyle(document.documentElement);
  const [ink, soft, line] = ["--ink", "--soft", "--line"].map((name) =>
    style.getPropertyValue(name).trim());
  return {
    background: null,
    font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line,
      tickColor: line, labelLimit: 130, labelOverlap: true },
    legend: { labelColor: ink, titleColor: soft },
    text: { color: soft },
  };
}

function drawAll() {
  for (const [name, spec] of Object.entries(specs)) {
    window.draw(`#${name}`, spec, {
      actions: false, config: look(), renderer: "svg",
      tooltip: { theme: dark.matches ? "dark" : "light" },
    });
  }
}

dark.addEventListener("change", drawAll);
drawAll();
