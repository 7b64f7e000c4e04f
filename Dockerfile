# For Docker without Cog: `jsd serve` on the CPU (docs/cog.md). The image that Cog builds is told in cog.yaml.
FROM python:3.11-slim

# PyTorch's own wheels without CUDA: 0.2 GB instead of 5.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY requirements.txt ./
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --editable . && useradd --create-home jsd \
    && install -d -o jsd /weights /src/outputs

USER jsd
ENV HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive PYTHONUNBUFFERED=1
EXPOSE 5000
# Up, and able to draw: Cog's word for it is READY, or BUSY while it does.
HEALTHCHECK --interval=30s --timeout=30s --start-period=120s CMD ["python", "-c", \
    "import json, os, sys, urllib.request as r; asked = r.Request('http://127.0.0.1:5000/health-check', headers={'Authorization': 'Bearer ' + os.environ.get('JSD_API_KEY', '')}); sys.exit(json.load(r.urlopen(asked))['status'] not in ('READY', 'BUSY'))"]
CMD ["jsd", "serve", "--host", "0.0.0.0"]
