"""From a scheduler's configuration file to the profiles that the engine places by.

    decoding      JSON value to structs; every field must exist and have its type
    arguments     the arguments of one plugin, decoded and checked
    validation    the rest of the file, checked
    profiles      structs to profiles of rules

Matches kube-scheduler 1.36 (apis/config/v1 and apis/config/validation). Pure: whoever calls has
read the file.
"""
