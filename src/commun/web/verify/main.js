// Where the script begins: in the page, or in the page's worker.

import { serve } from "./beside.js";
import { begin } from "./page.js";

if (typeof document === "undefined") serve();
else begin(document.currentScript.textContent);
