"""llama.cpp's server out of the wheel ``xllamacpp``, run in that wheel's own environment as a child of serve.py.

Arguments: the GGUF file, the number of slots, the context of each slot in tokens. Prints its address, then serves
until its standard input ends. Prompt caching across requests is off, as no two prompts of the benchmark are alike.
"""

import os
import sys

import xllamacpp

model, slots, context = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
params = xllamacpp.CommonParams()
params.model.path = model
params.n_parallel = slots
params.n_ctx = slots * context
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = os.cpu_count() or 1
params.cache_ram_mib = 0
params.warmup = True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
os._exit(0)  # the library's threads do not join
