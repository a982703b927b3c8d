"""What is wrong with how manifests would be placed, told before anything is applied.

    texts -> subjects -> rules (with the world around them) -> findings -> reports, fixes

Pure: texts and documents in, findings out.
"""
