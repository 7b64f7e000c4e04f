"""What reaches the predictor through Cog's server: settings by the environment, words of the front by Cog's context."""

# "1": a request may name pictures in networks that are not public.
ALLOW_PRIVATE = "JSD_ALLOW_PRIVATE_ADDRESSES"
# The most that one request may cost: steps x pictures x pixels, in millions. Unset or empty: no bound.
MAX_COST = "JSD_MAX_MEGAPIXEL_STEPS"
# A key of the context of a prediction: what its author should know, a JSON list of sentences.
NOTES = "jsd_notes"
